"""HTTP/2 (RFC 9113) at both ends of the gateway: a client, and an origin server with prior knowledge.

In: a port and a request, or a function from a request to a reply. Out: a `Response`, or what arrived. Called by feature
and security tests. The client sends what it is told, rightly formed or not.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import h2.config
import h2.connection
import h2.events
import h2.settings

from support.client import TIMEOUT_S, Response, untrusting
from support.origin import Origin, Received

READ_BYTES = 1 << 16
Pairs = Sequence[tuple[str, str]]


class StreamResetError(Exception):
    """The other side reset the stream, or closed the connection, before its answer was complete."""


@dataclass(slots=True)
class _Stream:
    headers: list[tuple[str, str]] = field(default_factory=list)
    trailers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    ended: bool = False


class Http2Client:
    """One connection; over TLS with a `server_name`. Requests are sent one by one or several at once."""

    def __init__(self, port: int, *, server_name: str = "") -> None:
        plain = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
        if server_name:
            context = untrusting()
            context.set_alpn_protocols(["h2", "http/1.1"])
            self.socket: socket.socket = context.wrap_socket(plain, server_hostname=server_name)
        else:
            self.socket = plain
        config = h2.config.H2Configuration(
            validate_outbound_headers=False, normalize_outbound_headers=False, header_encoding="latin-1"
        )
        self._protocol = h2.connection.H2Connection(config)
        self._protocol.initiate_connection()
        self._streams: dict[int, _Stream] = {}
        self.max_concurrent_streams = 0
        """What the server allows, once its settings have arrived."""
        self._flush()

    def request(self, method: str, path: str, *, host: str, headers: Pairs = (), body: bytes | None = None) -> Response:
        """One exchange."""
        return self.receive(self.begin(method, path, host=host, headers=headers, body=body))

    def begin(self, method: str, path: str, *, host: str, headers: Pairs = (), body: bytes | None = None) -> int:
        """Send a request; returns its stream."""
        scheme = (":scheme", "https" if hasattr(self.socket, "cipher") else "http")
        return self.send([(":method", method), scheme, (":authority", host), (":path", path), *headers], body)

    def send(self, headers: Iterable[tuple[str, str]], body: bytes | None = None) -> int:
        """Send exactly these headers; returns the stream."""
        stream = self._protocol.get_next_available_stream_id()
        self._streams[stream] = _Stream()
        self._protocol.send_headers(stream, list(headers), end_stream=body is None)
        if body is not None:
            self._protocol.send_data(stream, body, end_stream=True)
        self._flush()
        return stream

    def ignore_settings(self) -> None:
        """Send as many streams at once as the caller likes."""
        self._protocol.remote_settings[h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS] = 1000
        self._protocol.remote_settings.acknowledge()

    def receive(self, stream: int) -> Response:
        """Wait for an answer. Raises StreamResetError."""
        while not self._streams[stream].ended:
            self.read()
        found = self._streams[stream]
        fields = dict(found.headers)
        headers = tuple((name, value) for name, value in found.headers + found.trailers if name != ":status")
        return Response(status=int(fields[":status"]), headers=headers, content=found.body)

    def read(self) -> None:
        """Take what the server sent."""
        octets = self.socket.recv(READ_BYTES)
        if not octets:
            raise StreamResetError("the connection was closed")
        for event in self._protocol.receive_data(octets):
            self._take(event)
        self._flush()

    def _take(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ResponseReceived(stream_id=stream, headers=headers):
                self._streams[stream].headers += as_text(headers)
            case h2.events.TrailersReceived(stream_id=stream, headers=headers):
                self._streams[stream].trailers += as_text(headers)
            case h2.events.DataReceived(stream_id=stream, data=data, flow_controlled_length=length):
                self._streams[stream].body += data or b""
                self._protocol.acknowledge_received_data(length or 0, stream)
            case h2.events.StreamEnded(stream_id=stream):
                self._streams[stream].ended = True
            case h2.events.StreamReset(stream_id=stream, error_code=code):
                raise StreamResetError(f"stream {stream}: {code}")
            case h2.events.ConnectionTerminated(error_code=code):
                raise StreamResetError(f"connection: {code}")
            case h2.events.RemoteSettingsChanged():
                self.max_concurrent_streams = self._protocol.remote_settings.max_concurrent_streams

    def _flush(self) -> None:
        self.socket.sendall(self._protocol.data_to_send())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()


def as_text(headers: Iterable[tuple[bytes | str, bytes | str]] | None) -> list[tuple[str, str]]:
    """Headers as text."""
    return [(_text(name), _text(value)) for name, value in headers or ()]


def _text(octets: bytes | str) -> str:
    return octets if isinstance(octets, str) else octets.decode("latin-1")


@dataclass(slots=True)
class Http2Origin(Origin):
    """An origin that speaks HTTP/2 alone. Pseudo-headers are among the recorded headers."""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        number = next(self._numbers)
        protocol = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="latin-1"))
        protocol.initiate_connection()
        streams: dict[int, _Stream] = {}
        try:
            while True:
                writer.write(protocol.data_to_send())
                await writer.drain()
                octets = await reader.read(READ_BYTES)
                if not octets:
                    break
                for event in protocol.receive_data(octets):
                    self._take(event, protocol, streams, number)
        except (OSError, asyncio.CancelledError):
            pass  # whoever was at the other end knows
        finally:
            self._open.discard(task)
            writer.close()

    def _take(
        self,
        event: h2.events.Event,
        protocol: h2.connection.H2Connection,
        streams: dict[int, _Stream],
        connection: int,
    ) -> None:
        match event:
            case h2.events.RequestReceived(stream_id=stream, headers=headers):
                streams[stream] = _Stream(headers=as_text(headers))
            case h2.events.DataReceived(stream_id=stream, data=data, flow_controlled_length=length):
                streams[stream].body += data or b""
                protocol.acknowledge_received_data(length or 0, stream)
            case h2.events.StreamEnded(stream_id=stream):
                self._reply(protocol, stream, streams.pop(stream), connection)

    def _reply(self, protocol: h2.connection.H2Connection, stream: int, whole: _Stream, connection: int) -> None:
        fields = dict(whole.headers)
        request = Received(
            method=fields[":method"],
            target=fields[":path"],
            version="HTTP/2",
            headers=tuple(whole.headers),
            body=whole.body,
            connection=connection,
        )
        self.received.append(request)
        reply = self.answer(request)
        headers = [(":status", str(reply.status)), ("x-origin", self.name), *reply.headers]
        protocol.send_headers(stream, headers)
        protocol.send_data(stream, reply.body.encode(), end_stream=True)
