"""Small clients of HTTP/1.1 and HTTP/2 for loads whose answers are judged: no retries, nothing hidden.

In: an address, a server name for TLS. Out: a `Seen` for each request, or AskError. Called by checked_load and truth. A
kept connection that the other side has closed, or said to close, before anything was sent is opened again, as every
client does.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from support.client import untrusting

_READ = 1 << 16
_HEADER, _GOAWAY, _ALL = 9, 7, 1 << 31
"""Of frames of HTTP/2: bytes of the header, a type, and more than any number of a stream."""
Place = tuple[str, int]
_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class AskError(Exception):
    """The connection broke before the answer was whole; the text says how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An answer."""

    status: int
    said: str = ""
    """Who served it, its x-version and the certificate of its connection, those that there are."""
    body: str = ""
    reason: str = ""
    """Why the gateway refused it."""

    @classmethod
    def of(cls, status: int, headers: Mapping[str, object], body: str = "", shown: str = "") -> Self:
        """`shown`: the certificate."""
        lower = {name.lower(): str(value) for name, value in headers.items()}
        words = (lower.get("x-served-by", ""), lower.get("x-version", ""), shown)
        said = " ".join(word for word in words if word)
        return cls(status=status, said=said, body=body, reason=lower.get("x-ff-reason", ""))


@dataclass(slots=True)
class Http1:
    """One connection; opened by the first request."""

    place: Place
    server_name: str = ""
    """TLS when there is one."""
    _streams: _Streams | None = None

    async def get(self, host: str, path: str, headers: Mapping[str, str]) -> Seen:
        """Ask once."""
        lines = [f"GET {path} HTTP/1.1", f"host: {host}", *(f"{name}: {value}" for name, value in headers.items())]
        return await self.send(("\r\n".join(lines) + "\r\n\r\n").encode())

    async def send(self, request: bytes) -> Seen:
        """Send a whole request."""
        try:
            fresh = not self.is_open
            if fresh:
                self._streams = await _open(self.place, self.server_name, "http/1.1")
            assert self._streams is not None
            reader, writer = self._streams
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            fields = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in head.split("\r\n")[1:] if line)
            }
            if fields.get("transfer-encoding") == "chunked":
                body = await _chunks(reader)
            else:
                body = await reader.readexactly(int(fields.get("content-length", "0")))
            shown = certificate_of(writer) if self.server_name and fresh else ""
        except (OSError, EOFError, asyncio.IncompleteReadError) as error:
            self.close()
            raise AskError(f"broken off: {type(error).__name__}") from None
        if fields.get("connection") == "close":
            self.close()
        return Seen.of(int(head.split(" ")[1]), fields, body.decode(errors="replace"), shown)

    @property
    def is_open(self) -> bool:
        """Whether the next request goes over the same connection."""
        if self._streams is None:
            return False
        reader, _ = self._streams
        if reader.exception() is None and not reader.at_eof():
            return True
        self.close()
        return False

    def close(self) -> None:
        """Close it; the next request opens another."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None


@dataclass(slots=True)
class Http2:
    """One connection, one stream after the other; known beforehand without TLS (RFC 9113, section 3.3)."""

    place: Place
    server_name: str = ""
    _streams: _Streams | None = None
    _protocol: h2.connection.H2Connection | None = None
    _ends: bool = False
    """The other side takes no more streams."""
    _most: int = _ALL
    """The last one that it answers."""
    _received: bytes = b""
    """The begin of a frame."""

    async def get(self, host: str, path: str, headers: Mapping[str, str]) -> Seen:
        """Ask once."""
        try:
            return await self._exchange(host, path, headers)
        except (OSError, EOFError, h2.exceptions.ProtocolError) as error:
            self.close()
            raise AskError(f"broken off: {type(error).__name__} {error}") from None

    async def _exchange(self, host: str, path: str, headers: Mapping[str, str]) -> Seen:
        if self._streams is not None:
            await self._take_what_came()
        if self._streams is None or self._ends:
            self.close()
            await self._begin()
        assert self._streams is not None
        assert self._protocol is not None
        reader, writer = self._streams
        stream = self._protocol.get_next_available_stream_id()
        pseudo = [(":method", "GET"), (":scheme", "https" if self.server_name else "http")]
        self._protocol.send_headers(
            stream, [*pseudo, (":authority", host), (":path", path), *headers.items()], end_stream=True
        )
        answer = _Answer()
        while not answer.ended:
            writer.write(self._protocol.data_to_send())
            octets = await reader.read(_READ)
            if not octets:
                raise EOFError
            for event in self._receive(octets):
                self._take(event, answer, stream)
            if self._most < stream:
                raise EOFError("refused by GOAWAY")
        writer.write(self._protocol.data_to_send())
        return Seen.of(int(answer.headers[":status"]), answer.headers, answer.body.decode(errors="replace"))

    def _take(self, event: h2.events.Event, answer: _Answer, stream: int) -> None:
        assert self._protocol is not None
        match event:
            case h2.events.ResponseReceived(headers=headers):
                answer.headers |= {_text(name): _text(value) for name, value in headers or ()}
            case h2.events.DataReceived(data=data, flow_controlled_length=length, stream_id=number):
                answer.body += data or b""
                self._protocol.acknowledge_received_data(length or 0, number or stream)
            case h2.events.StreamEnded():
                answer.ended = True
            case h2.events.StreamReset(error_code=code):
                raise EOFError(f"stream reset: {code}")

    @property
    def is_open(self) -> bool:
        """Whether the next request goes over the same connection."""
        return self._streams is not None and not self._ends and not self._streams[0].at_eof()

    async def _take_what_came(self) -> None:
        """Whether the other side has said good-bye since."""
        assert self._streams is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0):
                octets = await self._streams[0].read(_READ)
                self._receive(octets)
                self._ends = self._ends or not octets

    def _receive(self, octets: bytes) -> list[h2.events.Event]:
        """The library takes GOAWAY for the end of everything, but streams up to the one it names go on (RFC 9113,
        section 6.8): so those frames are taken out.
        """
        assert self._protocol is not None
        self._received += octets
        whole = b""
        while len(self._received) >= _HEADER and len(self._received) >= (
            size := _HEADER + int.from_bytes(self._received[:3], "big")
        ):
            frame, self._received = self._received[:size], self._received[size:]
            if frame[3] == _GOAWAY:
                self._ends = True
                self._most = int.from_bytes(frame[_HEADER : _HEADER + 4], "big")
            else:
                whole += frame
        return self._protocol.receive_data(whole)

    async def _begin(self) -> None:
        self._streams = await _open(self.place, self.server_name, "h2")
        self._protocol = h2.connection.H2Connection(h2.config.H2Configuration())
        self._protocol.initiate_connection()
        self._ends, self._most, self._received = False, _ALL, b""

    def close(self) -> None:
        """Close it; the next request opens another."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = self._protocol = None


@dataclass(slots=True)
class _Answer:
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    ended: bool = False


def fingerprint(der: bytes) -> str:
    """Tells certificates apart."""
    return hashlib.sha256(der).hexdigest()[:12]


def certificate_of(writer: asyncio.StreamWriter) -> str:
    """Of the other side."""
    inner: ssl.SSLObject = writer.get_extra_info("ssl_object")
    der = inner.getpeercert(binary_form=True)
    return "" if der is None else fingerprint(der)


async def _open(place: Place, server_name: str, protocol: str) -> _Streams:
    if not server_name:
        return await asyncio.open_connection(*place)
    context = untrusting()
    context.set_alpn_protocols([protocol])
    return await asyncio.open_connection(*place, ssl=context, server_hostname=server_name)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readline()).partition(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return body


def _text(octets: bytes | str) -> str:
    return octets if isinstance(octets, str) else octets.decode("latin-1")
