"""The webhook's HTTP: bounded, for the API server alone, in a thread and an event loop of its own.

In: requests over TLS. Out: answers of the Judge. Called by webhook. Its own thread, because what comes here may be
large or hostile, and reading it must hold up no change; only the question to the compiler goes to the main loop.
"""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass, field

import structlog
from aiohttp import web

from fastforward_operator.telemetry import Metrics

from .callers import Callers
from .door import Door
from .judge import Judge
from .review import MAX_BYTES, ReviewError, read_review, write_review
from .tls import RotatingContext

_log = structlog.get_logger(__name__)

PATH = "/validate"
DEADLINE_S = 2.0
"""For one answer; the API server waits a second longer."""
MOST_AT_ONCE = 8
"""Bodies in memory; further requests wait."""
IDLE_S = 120.0
_TOO_LONG = f"The review has more than {MAX_BYTES} bytes."


@dataclass(slots=True)
class WebhookServer:
    """One a process. `start` and `stop` are the owner's; all else happens in its thread."""

    host: str
    port: int
    context: RotatingContext
    callers: Callers
    judge: Judge
    metrics: Metrics
    _loop: asyncio.AbstractEventLoop | None = None
    _thread: threading.Thread | None = None
    _halt: asyncio.Event | None = None
    _gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_AT_ONCE))

    async def start(self) -> None:
        """Raises OSError when the address is taken."""
        started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._thread = threading.Thread(target=self._run, args=(asyncio.get_running_loop(), started), daemon=True)
        self._thread.start()
        self.port = await started
        _log.info("webhook serves", address=f"{self.host}:{self.port}")

    async def stop(self) -> None:
        """Answers that are on their way are given a moment."""
        if self._thread is not None and self._loop is not None and self._halt is not None:
            self._loop.call_soon_threadsafe(self._halt.set)
            await asyncio.to_thread(self._thread.join)

    def _run(self, owner: asyncio.AbstractEventLoop, started: asyncio.Future[int]) -> None:
        asyncio.run(self._serve(owner, started))

    async def _serve(self, owner: asyncio.AbstractEventLoop, started: asyncio.Future[int]) -> None:
        self._loop, self._halt = asyncio.get_running_loop(), asyncio.Event()
        application = web.Application(client_max_size=MAX_BYTES)
        application.router.add_post(PATH, self._answer)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0, keepalive_timeout=IDLE_S)
        await runner.setup()
        door = Door(self.context.outer, lambda: _handler(runner))
        try:
            listener = await self._loop.create_server(door, self.host, self.port)
        except OSError as error:
            await runner.cleanup()
            why = OSError(error.errno, f"The webhook can't listen on {self.host}:{self.port}: {error.strerror}")
            owner.call_soon_threadsafe(started.set_exception, why)
            return
        owner.call_soon_threadsafe(started.set_result, listener.sockets[0].getsockname()[1])
        await self._halt.wait()
        listener.close()
        await runner.cleanup()
        await door.close()

    async def _answer(self, request: web.Request) -> web.Response:
        transport = request.transport
        if not self.callers.admits(transport.get_extra_info("peercert") if transport is not None else None):
            return self._refuse(403, "Only the API server is answered, and this certificate is not its own.")
        if request.content_type != "application/json":
            return self._refuse(415, "A review is application/json.")
        if (request.content_length or 0) > MAX_BYTES:
            return self._refuse(413, _TOO_LONG)
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(DEADLINE_S), self._gate:
                asked = read_review(await request.read())
                answer = await self.judge.answer(asked)
        except Exception as error:  # noqa: BLE001 - a defect of ours, too: the failurePolicy says what it means
            return self._refuse(*_fault(error))
        verdict = "refused" if answer.refused else "warned" if answer.warned or answer.remarks else "allowed"
        self.metrics.admitted(asked.kind or "other", verdict, time.perf_counter() - begun)
        return web.Response(body=write_review(asked, answer), content_type="application/json")

    def _refuse(self, status: int, why: str) -> web.Response:
        self.metrics.admitted("none", str(status), 0.0)
        return web.Response(status=status, text=why)


def _fault(error: Exception) -> tuple[int, str]:
    """Status of HTTP and what to say."""
    match error:
        case ReviewError():
            return 400, str(error)
        case web.HTTPRequestEntityTooLarge():
            return 413, _TOO_LONG
        case TimeoutError():
            return 503, "FastForward is compiling a large change: try again in a moment."
    _log.error("admission failed", exc_info=error)
    return 500, "FastForward failed on this object: its log has the details."


def _handler(runner: web.AppRunner) -> asyncio.Protocol:
    if runner.server is None:
        raise RuntimeError("The runner is not set up.")
    return runner.server()
