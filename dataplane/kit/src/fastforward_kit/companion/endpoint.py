"""What the companion answers: probes of Envoy and of itself, Envoy's statistics, and when it has drained.

In: GET requests of the kubelet and of Prometheus. Out: answers. Called by main. Nothing can be changed here: draining
begins with the end of the pod, not with a request.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable

from fastforward_kit.companion.console import Console
from fastforward_kit.companion.drain import Drain
from fastforward_kit.http import Request, Response

PROMETHEUS = "text/plain; version=0.0.4"
MAX_WAITING = 16
"""Requests that wait for the end of draining; the kubelet sends one."""


class CompanionEndpoint:
    """A handler for HttpServer."""

    def __init__(self, console: Console, drain: Drain) -> None:
        self._console = console
        self._drain = drain
        self._waiting = 0
        self._answers: dict[str, Callable[[], Awaitable[Response]]] = {
            "/envoy/live": self._live,
            "/envoy/ready": self._ready,
            "/envoy/drained": self._drained,
            "/metrics": self._metrics,
        }

    def __call__(self, request: Request) -> Response | asyncio.Future[Response]:
        if request.method not in {"GET", "HEAD"}:
            return _said(405, "only GET and HEAD")
        path = request.target.partition("?")[0]
        if path == "/healthz":
            return _said(200, "ok")
        answer = self._answers.get(path)
        return self._later(answer) if answer else _said(404, f"only /healthz, {', '.join(self._answers)}")

    @staticmethod
    def _later(answer: Callable[[], Awaitable[Response]]) -> asyncio.Future[Response]:
        async def safely() -> Response:
            try:
                return await answer()
            except OSError as error:
                return _said(503, f"Envoy does not answer: {error or type(error).__name__}")

        return asyncio.ensure_future(safely())

    async def _live(self) -> Response:
        await self._console.ask("/server_info")
        return _said(200, "live")

    async def _ready(self) -> Response:
        if self._drain.begun:
            return _said(503, "draining")
        return _said(200, "ready") if await self._console.is_ready() else _said(503, "waiting for its configuration")

    async def _drained(self) -> Response:
        if self._waiting >= MAX_WAITING:
            return _said(429, "too many wait already")
        try:
            await self._console.ask("/server_info")
        except OSError:
            # It is ended because it is frozen: then the pod goes on, and this process is told nothing.
            return _said(200, "nothing can be waited for")
        self._waiting += 1
        try:
            # The kubelet may ask before this process is told that the pod ends.
            async with asyncio.timeout(self._drain.most_seconds + 5.0):
                await self._drain.done.wait()
        except TimeoutError:
            return _said(504, "not drained")
        finally:
            self._waiting -= 1
        return _said(200, "drained")

    async def _metrics(self) -> Response:
        status, body = await self._console.ask("/stats/prometheus?usedonly")
        return Response(status, (("content-type", PROMETHEUS),), body)


def _said(status: int, what: str) -> Response:
    return Response(status, (("content-type", "application/json"),), json.dumps({"status": what}).encode() + b"\n")
