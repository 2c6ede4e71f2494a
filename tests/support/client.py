"""An HTTP/1.1 client that sends exactly what a test says and hides nothing of the answer.

In: a port and a request. Out: a `Response`. Called by feature and security tests through the gateway fixture. Why not a
client library: they tidy paths, hosts and headers, which is what is to be tested here.
"""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPResponse
from types import TracebackType
from typing import Self

from support.resources import Json

TIMEOUT_S = 10.0
Headers = dict[str, str] | Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An answer. `headers` as they came, names in lower case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    content: bytes

    def values(self, name: str) -> list[str]:
        """Values of the header, one for each time it was sent."""
        return [value for key, value in self.headers if key == name]

    def header(self, name: str) -> str | None:
        """The header's value; None when it is not there. Fails when it was sent more than once."""
        values = self.values(name)
        assert len(values) < 2, f"{name} was sent {len(values)} times: {values}"
        return values[0] if values else None

    @property
    def body(self) -> str:
        """The body as text."""
        return self.content.decode()

    @property
    def json(self) -> Json:
        """The body as JSON."""
        return json.loads(self.content)

    @property
    def reason(self) -> str | None:
        """STAGE/REASON of a refusal."""
        return self.header("x-ff-reason")

    @property
    def origin(self) -> str | None:
        """Name of the origin that answered; None when the gateway did."""
        return self.header("x-origin")


class Connection:
    """One connection that is kept alive. `server_name` makes it TLS; the certificate is not judged."""

    def __init__(self, port: int, *, server_name: str = "", source: str = "") -> None:
        plain = socket.create_connection(("127.0.0.1", port), TIMEOUT_S, (source, 0) if source else None)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = untrusting().wrap_socket(plain, server_hostname=server_name) if server_name else plain

    def request(
        self, method: str, target: str, *, host: str | None, headers: Headers = (), body: bytes | str | None = None
    ) -> Response:
        """One exchange. With `host` None there is no Host header."""
        pairs = list(headers.items()) if isinstance(headers, dict) else list(headers)
        lines = [f"{method} {target} HTTP/1.1", *([] if host is None else [f"host: {host}"])]
        content = body.encode() if isinstance(body, str) else body or b""
        names = {name.lower() for name, _ in pairs}
        if body is not None and not names & {"content-length", "transfer-encoding"}:
            pairs.append(("content-length", str(len(content))))
        lines += [f"{name}: {value}" for name, value in pairs]
        return self.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + content, method)

    def send(self, octets: bytes, method: str = "GET") -> Response:
        """Send these bytes and read one answer."""
        self.socket.sendall(octets)
        return self.receive(method)

    def receive(self, method: str = "GET") -> Response:
        """Read one answer. Raises http.client.RemoteDisconnected, or OSError, when there is none."""
        response = HTTPResponse(self.socket, method=method)
        try:
            response.begin()
            content = response.read()
            headers = tuple((name.lower(), value) for name, value in response.getheaders())
            return Response(status=response.status, headers=headers, content=content)
        finally:
            response.close()

    def close(self) -> None:
        """Close it."""
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def untrusting() -> ssl.SSLContext:
    """Settings of TLS that accept any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
