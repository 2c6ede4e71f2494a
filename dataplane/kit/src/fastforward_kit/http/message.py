"""A request and its answer, and the answer's bytes.

Called by the server for each request, by handlers to say what to answer.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import NamedTuple


class Request(NamedTuple):
    """`target` is the request target as sent, with its query; header names are lower case, values in order of arrival.

    Bytes are decoded as Latin-1, so that none is lost and each is one character.
    """

    method: str
    target: str
    headers: dict[str, tuple[str, ...]]
    body: bytes = b""

    def header(self, name: str) -> str:
        """Returns the value of a header, repeated ones joined with a comma; empty without one."""
        values = self.headers.get(name)
        if values is None:
            return ""
        return values[0] if len(values) == 1 else ",".join(values)


@dataclass(frozen=True, slots=True)
class Response:
    """Header names and values are text without line breaks; `content-length` and `connection` are the server's."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamedResponse(Response):
    """An answer whose body comes in parts, each sent as it comes: events, say.

    `parts` is closed when its client is gone, and ended when the server drains, as if that were all: what lasts longer
    must begin anew elsewhere. A `finite` one has an end of its own, and is waited for: cut off, it would be taken for
    whole.
    """

    parts: AsyncIterator[bytes] = field(repr=False)
    finite: bool = False


class Occupant(asyncio.Protocol):
    """A protocol that takes a connection over from HTTP. Bytes that came early are the first that it receives."""

    def leave(self) -> None:
        """Asks it to end in its own words, because the server drains; it has some seconds."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Takeover(Response):
    """The answer to a request with `Upgrade`, usually 101: the connection goes on in another protocol.

    Whose it is becomes known once `protocol` is called, for a connection that is still there.
    """

    protocol: Callable[[], Occupant] = field(repr=False)


Handler = Callable[[Request], Response | asyncio.Future[Response]]
"""Answers at once where it can: a future costs a trip through the event loop."""


class UnsafeHeaderError(ValueError):
    """A header's name or value holds a line break: sent as it is, it would forge further headers or a response."""


_STATUS_LINES = {int(status): f"HTTP/1.1 {int(status)} {status.phrase}" for status in HTTPStatus}


BODILESS = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})
"""RFC 9112, section 6.3: they end with their head, whatever it says."""
CHUNKED = "transfer-encoding: chunked"
UNFRAMED = "connection: Upgrade"


def encode(response: Response, *, with_body: bool, close: bool, framing: str = "") -> bytes:
    """Returns the bytes on the wire. A HEAD's answer has the length of the body, but not the body.

    `framing` is the header that says how far the answer goes, in the place of its length.

    An answer that never has a body gets none: whoever reads it would take that for the next answer.

    Raises UnsafeHeaderError rather than let a value end its line: values come from tokens and resources.
    """
    status = _STATUS_LINES.get(response.status) or f"HTTP/1.1 {response.status} "
    lines = [status, *(f"{name}: {value}" for name, value in response.headers)]
    empty = response.status in BODILESS
    if not empty:
        lines.append(framing or f"content-length: {len(response.body)}")
    if close:
        lines.append("connection: close")
    text = "\r\n".join(lines)
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1 or "\0" in text:
        raise UnsafeHeaderError("a response header holds a line break")
    head = (text + "\r\n\r\n").encode("utf-8", "replace")
    return head + response.body if with_body and response.body and not empty else head
