"""A client of gRPC-Web as browsers are: calls in HTTP/1.1 or 2, whose trailers are the last frame of the body.

In: a connection, a method, a message. Out: a `WebAnswer`. Called by feature tests. Source: gRPC-Web, "Protocol
differences vs gRPC over HTTP2".
"""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from support.client import Response

BINARY, TEXT = "application/grpc-web+proto", "application/grpc-web-text+proto"
_TRAILERS = 0x80
_PADDED = re.compile(rb"[A-Za-z0-9+/]+={0,2}")


@dataclass(frozen=True, slots=True)
class WebAnswer:
    """What a client of gRPC-Web reads out of an answer."""

    response: Response
    messages: tuple[bytes, ...]
    trailers: Mapping[str, str]

    @property
    def status(self) -> int:
        """The call's, from the trailers; from the headers where there is no body."""
        return int(self.trailers.get("grpc-status") or self.response.header("grpc-status") or "-1")


def framed(message: bytes, kind: str = BINARY) -> bytes:
    """The body of a call with one message."""
    frame = struct.pack(">BI", 0, len(message)) + message
    return base64.b64encode(frame) if kind == TEXT else frame


def read_answer(response: Response) -> WebAnswer:
    """Takes the frames apart; text may be padded in the middle, where one piece of the body ended."""
    octets = response.content
    if (response.header("content-type") or "").startswith("application/grpc-web-text"):
        octets = b"".join(base64.b64decode(piece) for piece in _PADDED.findall(octets))
    messages: list[bytes] = []
    trailers: dict[str, str] = {}
    while octets:
        flags, length = struct.unpack(">BI", octets[:5])
        content, octets = octets[5 : 5 + length], octets[5 + length :]
        assert len(content) == length, "the last frame is cut off"
        if flags & _TRAILERS:
            lines = [line.partition(":") for line in content.decode().splitlines()]
            trailers = {name.strip().lower(): value.strip() for name, _, value in lines}
        else:
            messages.append(content)
    return WebAnswer(response, tuple(messages), trailers)
