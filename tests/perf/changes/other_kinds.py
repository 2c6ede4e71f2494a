"""Changes of other things than routes, each seen by a request of its own: certificates, policies, endpoints.

Out: `Kind`s, which say how a generation is written and how it shows, and how long changes take. Called by
change_to_traffic and api_to_traffic. They have an Edge of their own, so that the routes beside them are as they are
without.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perf.changes.changing import GIVE_UP_S, POLL_S, START_S, Client, until
from perf.changes.worlds import put
from support.client import untrusting
from support.credentials import certificate_pem, jwks, tls_data
from support.processes import free_ports
from support.resources import Document, config_map, edge, resource, secret, upstream

NAMES = ("certificate", "limit", "access", "endpoint")
_HOST = "kinds.localhost"
_EDGE = {"edges": [{"name": "kinds"}]}
_USE = {"labels": {"gateway.fastforward.dev/use": "true"}}
_PLENTY = 1_000_000
_HANDSHAKE_EVERY_S = 0.005
"""They cost milliseconds on both sides, so that more of them would slow down what is measured."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Something that changes."""

    name: str
    document: Callable[[int], Document]
    """What is written, in one of its generations."""
    shows: Callable[[int], Awaitable[bool]]
    """Whether traffic says so; generations that follow each other differ."""
    poll_s: float = POLL_S

    async def changes(self, number: int, write: Write) -> list[float]:
        """Milliseconds of so many, one after the other; generation 0 is there before. Raises TimeoutError."""
        await until(lambda: self.shows(0), START_S)
        return [await self._change(generation, write) for generation in range(1, number + 1)]

    async def _change(self, generation: int, write: Write) -> float:
        began = time.perf_counter()
        await write(self, generation)
        await until(lambda: self.shows(generation), GIVE_UP_S, self.poll_s)
        return (time.perf_counter() - began) * 1e3

    def write(self, folder: Path, generation: int) -> None:
        """To its file among the resources."""
        put(folder / f"kind-{self.name}.yaml", json.dumps(self.document(generation)))


Write = Callable[[Kind, int], Awaitable[None]]
"""Makes it what it is in a generation."""


@dataclass(frozen=True, slots=True)
class Kinds:
    """All of them, and what stays as it is meanwhile."""

    all: Sequence[Kind]
    around: Sequence[Document]

    @property
    def documents(self) -> Sequence[Document]:
        """Everything in its first generation."""
        return (*self.around, *(kind.document(0) for kind in self.all))

    def write(self, folder: Path) -> None:
        """The same in files."""
        put(folder / "kinds.yaml", "\n---\n".join(json.dumps(each) for each in self.around))
        for kind in self.all:
            kind.write(folder, 0)


@contextlib.asynccontextmanager
async def kinds() -> AsyncGenerator[Kinds]:
    """With two origins that run meanwhile."""
    port, tls_port, *origins = free_ports(4)
    async with contextlib.AsyncExitStack() as stack:
        for number, each in enumerate(origins):
            await stack.enter_async_context(await _origin(each, f"origin {number}"))
        client = Client(port)
        yield Kinds(
            all=(_certificate(tls_port), _limit(client), _access(client), _endpoint(client, origins)),
            around=(*_around(port, tls_port), config_map("kind-keys", {"issuer": jwks("issuer")}, **_USE)),
        )


def _around(port: int, tls_port: int) -> Sequence[Document]:
    listeners = [
        {"name": "http", "port": port},
        {"name": "https", "port": tls_port, "protocol": "HTTPS", "tls": {"certificates": [{"name": "kind"}]}},
    ]
    answers = {"respond": {"body": "ok"}}
    return (
        edge(port, name="kinds", hosts=[_HOST], listeners=listeners, accessLog=False),
        _route("limited", answers),
        _route("guarded", answers),
        _route("moved", {"upstreams": [{"name": "kind"}]}),
    )


def _route(name: str, does: Document) -> Document:
    rule = {"matches": [{"path": {"value": f"/{name}"}}], **does}
    return resource("Route", f"kind-{name}", {**_EDGE, "hosts": [_HOST], "rules": [rule]})


def _request(name: str) -> bytes:
    return f"GET /{name} HTTP/1.1\r\nhost: {_HOST}\r\n\r\n".encode()


def _certificate(port: int) -> Kind:
    """Two certificates for the same hosts that take turns; each handshake is on a connection of its own."""
    names = (_HOST, f"other.{_HOST}")
    settings = untrusting()

    def hosts(generation: int) -> tuple[str, ...]:
        # In another order it is another certificate, with another key.
        return names if generation % 2 else names[::-1]

    async def shows(generation: int) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=settings, server_hostname=_HOST)
        except OSError:
            return False
        shown: Any = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.transport.abort()
        return bool(shown == ssl.PEM_cert_to_DER_cert(certificate_pem(*hosts(generation))))

    return Kind(
        "certificate",
        lambda generation: secret("kind", tls_data(*hosts(generation)), "kubernetes.io/tls", **_USE),
        shows,
        _HANDSHAKE_EVERY_S,
    )


def _limit(client: Client) -> Kind:
    """A budget, which every answer names."""

    def document(generation: int) -> Document:
        budget = {"requests": _PLENTY + generation, "window": "1h"}
        return resource("RateLimit", "kind", {"targets": [{"kind": "Route", "name": "kind-limited"}], "budget": budget})

    async def shows(generation: int) -> bool:
        answer = await client.ask(_request("limited"))
        return answer.status == 200 and f"x-ratelimit-limit: {_PLENTY + generation}\r\n" in answer.head

    return Kind("limit", document, shows)


def _access(client: Client) -> Kind:
    """Whether a token is needed: without one the answer is 401 or 200."""
    source = {"issuer": "https://issuer.localhost", "jwks": {"configMap": {"name": "kind-keys", "key": "issuer"}}}

    def document(generation: int) -> Document:
        mode = "Required" if generation % 2 else "Optional"
        authentication = {"mode": mode, "providers": [{"name": "token", "jwt": source}]}
        targets = [{"kind": "Route", "name": "kind-guarded"}]
        return resource("AuthPolicy", "kind", {"targets": targets, "authentication": authentication})

    async def shows(generation: int) -> bool:
        return (await client.ask(_request("guarded"))).status == (401 if generation % 2 else 200)

    return Kind("access", document, shows)


def _endpoint(client: Client, origins: Sequence[int]) -> Kind:
    """Two origins that take turns."""

    async def shows(generation: int) -> bool:
        return (await client.ask(_request("moved"))).body == f"origin {generation % 2}"

    return Kind("endpoint", lambda generation: upstream("kind", origins[generation % 2]), shows)


async def _origin(port: int, says: str) -> asyncio.Server:
    answer = f"HTTP/1.1 200 OK\r\ncontent-length: {len(says)}\r\n\r\n{says}".encode()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Envoy ends last of all, when nobody listens any more.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(answer)
        writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", port)
