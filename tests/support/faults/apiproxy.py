"""A road to the API server on which a test decides what happens: it counts writes, and disturbs lists and watches.

In: a kubeconfig. Out: an `ApiProxy`, and a kubeconfig that leads through it. Called by tests of failures. TLS on both
sides, and whoever asks is known to the API server by his own token, so that he may do what he may do without it.
"""

from __future__ import annotations

import base64
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import yaml
from aiohttp import web
from fastforward_operator.certificates import Certified, Subject, issue, new_authority
from fastforward_operator.kubernetes.access import Access, find_access
from yarl import URL

MAX_BODY = 16 << 20
_NOT_PASSED_ON = frozenset({"host", "connection", "content-length", "transfer-encoding", "accept-encoding"})
_ADDRESS = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One that the API server has answered."""

    number: int
    """From 1, among those that are counted."""
    at: float
    method: str
    path: str
    status: int

    @property
    def taken(self) -> bool:
        return self.status < 300

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.status}"


Lines = AsyncIterator[bytes]
Disturb = Callable[[web.Request, Lines], Lines]
"""What becomes of the events of a watch, each a line."""
Refuse = Callable[[web.Request], Awaitable[web.Response | None]]
"""An answer instead of the API server's; None for the API server's own."""


def counts(method: str, path: str) -> bool:
    """Whether it is a write that something hangs on: leases are renewed all the time, by the clock."""
    return method != "GET" and "/leases" not in path


async def _let_pass(_: web.Request) -> web.Response | None:
    return None


@dataclass(slots=True)
class ApiProxy:
    """One road; what it does may be changed at any time."""

    access: Access
    port: int = 0
    writes: list[Write] = field(default_factory=list)
    """Those that count."""
    asked: list[tuple[float, str, str]] = field(default_factory=list)
    """Every request: when, method, path with what is asked."""
    on_write: Callable[[Write], None] = lambda _: None
    """Called when the API server has taken a write and before whoever wrote is told so."""
    on_told: Callable[[Write], None] = lambda _: None
    """Called when he has been told."""
    on_read: Callable[[str, bytes], None] = lambda *_: None
    """Called with what the API server answered to a question, which is a path with what is asked."""
    refuse: Refuse = _let_pass
    disturb: Disturb | None = None
    _session: aiohttp.ClientSession = field(init=False)
    _watches: set[aiohttp.ClientResponse] = field(default_factory=set)

    def cut_watches(self) -> None:
        """End all watches now; those that follow are disturbed as is said now."""
        for each in tuple(self._watches):
            each.close()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Any request."""
        self.asked.append((time.monotonic(), request.method, request.path_qs))
        body = await request.read()
        refused = await self.refuse(request)
        if refused is not None:
            return refused
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _NOT_PASSED_ON}
        url = URL(f"{self.access.server}{request.raw_path}", encoded=True)
        made = self._session.request(request.method, url, data=body or None, headers=headers)
        try:
            async with made as answer:
                if "watch" in request.query and answer.status == 200:
                    return await self._stream(request, answer)
                content = await answer.read()
        except (aiohttp.ClientError, OSError) as error:
            return web.Response(status=502, text=f"the API server is away: {error!r}")
        response = web.Response(status=answer.status, body=content, content_type=answer.content_type)
        if request.method == "GET":
            self.on_read(request.path_qs, content)
        if not counts(request.method, request.path):
            return response
        write = self._note(request, answer.status)
        self.on_write(write)
        with suppress(OSError):
            # Whoever was killed is told nothing.
            await response.prepare(request)
            await response.write_eof()
        self.on_told(write)
        return response

    def _note(self, request: web.Request, status: int) -> Write:
        number = len(self.writes) + 1
        path = request.path
        write = Write(number=number, at=time.monotonic(), method=request.method, path=path, status=status)
        self.writes.append(write)
        return write

    async def _stream(self, request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "application/json"})
        await response.prepare(request)
        events = lines(answer)
        self._watches.add(answer)
        try:
            async for line in self.disturb(request, events) if self.disturb is not None else events:
                await response.write(line + b"\n")
        except (OSError, aiohttp.ClientError):
            # Either side went; the other is told by the end.
            pass
        finally:
            self._watches.discard(answer)
        return response


async def lines(answer: aiohttp.ClientResponse) -> Lines:
    """Events of a watch as the API server sends them."""
    rest = b""
    async for chunk in answer.content.iter_any():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line


@asynccontextmanager
async def api_proxy(kubeconfig: Path, folder: Path) -> AsyncGenerator[tuple[ApiProxy, Path]]:
    """A road, and the kubeconfig that leads through it as the same user."""
    proxy = ApiProxy(find_access(kubeconfig))
    authority, shown = _certificates()
    runner = web.AppRunner(_application(proxy), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    connector = aiohttp.TCPConnector(limit=0, ssl=proxy.access.tls)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, read_bufsize=1 << 18) as session:
        proxy._session = session
        site = web.TCPSite(runner, _ADDRESS, 0, ssl_context=_serving(shown, folder))
        await site.start()
        proxy.port = runner.addresses[0][1]
        try:
            yield proxy, _write_kubeconfig(kubeconfig, folder, authority, proxy.port)
        finally:
            await connector.close(abort_ssl=True)
            await runner.cleanup()


def _application(proxy: ApiProxy) -> web.Application:
    application = web.Application(client_max_size=MAX_BODY)
    application.router.add_route("*", "/{path:.*}", proxy.handle)
    return application


def _certificates() -> tuple[Certified, Certified]:
    now, lifetime = datetime.now(UTC), timedelta(days=1)
    authority = new_authority("road to the API server", now=now, lifetime=lifetime)
    subject = Subject(name="road", addresses=(_ADDRESS,), server=True)
    return authority, issue(authority, subject, now=now, lifetime=lifetime)


def _serving(shown: Certified, folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    pair = folder / "road.pem"
    pair.touch(mode=0o600)
    pair.write_text(shown.certificate + shown.key)
    context.load_cert_chain(pair)
    return context


def _write_kubeconfig(kubeconfig: Path, folder: Path, authority: Certified, port: int) -> Path:
    config = yaml.safe_load(kubeconfig.read_text())
    for each in config["clusters"]:
        each["cluster"] = {
            "server": f"https://{_ADDRESS}:{port}",
            "certificate-authority-data": base64.b64encode(authority.certificate.encode()).decode(),
        }
    path = folder / "road.kubeconfig"
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config))
    return path
