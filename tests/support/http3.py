"""A client of HTTP/3 (RFC 9114): one connection of QUIC, requests one by one.

In: a port and a server name. Out: a `Response`. Called by feature tests. Blocking, like the clients beside it: the
protocol has no socket of its own, so this one is read until what is waited for is there.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from aioquic.h3.connection import H3Connection
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionTerminated, HandshakeCompleted, QuicEvent
from aioquic.tls import SessionTicket

from support.client import TIMEOUT_S, Response

READ_BYTES = 1 << 16
Pairs = Sequence[tuple[str, str]]


class ClosedError(Exception):
    """The other side ended the connection, or nobody was there."""


@dataclass(slots=True)
class _Stream:
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    ended: bool = False


class Http3Client:
    """One connection. With `trusted` (PEM) the certificate must be signed by that, or be it."""

    def __init__(
        self,
        port: int,
        *,
        server_name: str,
        trusted: str = "",
        ticket: SessionTicket | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.tickets: list[SessionTicket] = []
        """What the server has given to resume with."""
        verify = ssl.CERT_REQUIRED if trusted else ssl.CERT_NONE
        configuration = QuicConfiguration(
            alpn_protocols=["h3"], server_name=server_name, verify_mode=verify, session_ticket=ticket
        )
        if trusted:
            configuration.load_verify_locations(cadata=trusted.encode())
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._peer = ("127.0.0.1", port)
        self._socket.connect(self._peer)
        self._quic = QuicConnection(configuration=configuration, session_ticket_handler=self.tickets.append)
        self._http = H3Connection(self._quic)
        self._streams: dict[int, _Stream] = {}
        self._events: list[QuicEvent] = []
        self._timeout_s = timeout_s
        self._quic.connect(self._peer, now=time.monotonic())
        try:
            self.wait(lambda: any(isinstance(each, HandshakeCompleted) for each in self._events))
        except ClosedError:
            self._socket.close()
            raise

    @property
    def early_data_accepted(self) -> bool:
        """Whether the server took what was sent before the handshake had ended."""
        return any(isinstance(each, HandshakeCompleted) and each.early_data_accepted for each in self._events)

    def request(self, method: str, path: str, *, host: str, headers: Pairs = (), body: bytes | None = None) -> Response:
        """One exchange. Raises ClosedError."""
        return self.receive(self.begin(method, path, host=host, headers=headers, body=body))

    def begin(self, method: str, path: str, *, host: str, headers: Pairs = (), body: bytes | None = None) -> int:
        """Send a request; returns its stream."""
        stream = self._quic.get_next_available_stream_id()
        written = [(":method", method), (":scheme", "https"), (":authority", host), (":path", path), *headers]
        self._streams[stream] = _Stream()
        octets = [(name.encode(), value.encode()) for name, value in written]
        self._http.send_headers(stream, octets, end_stream=body is None)
        if body is not None:
            self._http.send_data(stream, body, end_stream=True)
        self._flush()
        return stream

    def receive(self, stream: int) -> Response:
        """Wait for an answer. Raises ClosedError."""
        found = self._streams[stream]
        self.wait(lambda: found.ended)
        fields = dict(found.headers)
        headers = tuple((name, value) for name, value in found.headers if name != ":status")
        return Response(status=int(fields[":status"]), headers=headers, content=found.body)

    def wait(self, holds: Callable[[], bool]) -> None:
        """Read until something holds. Raises ClosedError."""
        deadline = time.monotonic() + self._timeout_s
        self._flush()
        while not holds():
            now = time.monotonic()
            if now > deadline:
                raise ClosedError("nobody answers")
            timer = self._quic.get_timer()
            self._socket.settimeout(max(0.001, min(deadline, deadline if timer is None else timer) - now))
            try:
                self._quic.receive_datagram(self._socket.recv(READ_BYTES), self._peer, now=time.monotonic())
            except ConnectionRefusedError as error:
                raise ClosedError("nobody is there") from error
            except TimeoutError:
                self._quic.handle_timer(now=time.monotonic())
            self._take()
            self._flush()

    def _take(self) -> None:
        while (event := self._quic.next_event()) is not None:
            self._events.append(event)
            if isinstance(event, ConnectionTerminated):
                raise ClosedError(event.reason_phrase or str(event.error_code))
            for each in self._http.handle_event(event):
                self._keep(each)

    def _keep(self, event: H3Event) -> None:
        match event:
            case HeadersReceived(stream_id=stream, headers=headers, stream_ended=ended):
                self._streams[stream].headers += [(name.decode(), value.decode()) for name, value in headers]
                self._streams[stream].ended |= ended
            case DataReceived(stream_id=stream, data=data, stream_ended=ended):
                self._streams[stream].body += data
                self._streams[stream].ended |= ended

    def _flush(self) -> None:
        for datagram, _ in self._quic.datagrams_to_send(now=time.monotonic()):
            self._socket.send(datagram)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._quic.close()
        try:
            self._flush()
        except OSError:
            pass  # nobody is there any more
        finally:
            self._socket.close()
