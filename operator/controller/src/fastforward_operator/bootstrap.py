"""Puts the operator together: the one place that knows all its parts.

In: Settings. Out: a running operator, until `stop`. Called by __main__, and by tests that run it in process. Nothing
opens a socket before `start`; every task belongs to one TaskGroup.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import structlog
from aiohttp import web
from fastforward_compiler.emit.envoy import EmitSettings

from .addresses import AddressPool, read_pool
from .admission.webhook import Webhook
from .api import Api
from .jwks import KeyFetcher
from .page import Recent
from .pipeline import NewPipeline, new_pipeline
from .publication import Publications
from .reconcile import Reconciler
from .replicas import Exchange, MergedLedger, Teller
from .settings import Settings
from .status import StatusBoard
from .surroundings import Surroundings, replica_certificate, server_names, surroundings
from .telemetry import Metrics
from .xds.identity import TlsMaterial
from .xds.publisher import Publisher
from .xds.server import XdsServer

_log = structlog.get_logger(__name__)
T = TypeVar("T")

_M_ARENA_MAX, _M_MMAP_THRESHOLD = -8, -3
"""Of mallopt(3)."""
_LARGE_BYTES = 128 * 1024
"""The default, which then stays as it is."""
_WORK_S, _QUIET_S, _QUIET = 1.0, 1.0, 0.05
"""Memory is given back after so much processor time, once so many seconds took less than that share of a core."""
SWITCH_S = 0.0005
"""How soon a thread that compiles lets the xDS thread go on; Python's default is 5 ms."""


@dataclass(slots=True)
class Operator:
    """All parts. `api_port` is the one in force once it has started."""

    settings: Settings
    outside: Surroundings
    publisher: Publisher
    server: XdsServer
    board: StatusBoard
    reconciler: Reconciler
    fetcher: KeyFetcher
    metrics: Metrics
    teller: Teller | None = None
    webhook: Webhook | None = None
    api_port: int = 0
    _runners: list[web.AppRunner] = field(default_factory=list)
    _task: asyncio.Task[None] | None = None
    _started: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        """Listen first: a busy port is told before anything is compiled. Raises OSError."""
        self.settings.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self.settings.xds_tls:
            await self.server.start()
        try:
            await self._serve_api()
        except OSError:
            await self.server.stop()
            raise
        self._task = asyncio.create_task(self._run())
        _log.info("operator started", xds=self.server.address, api=f"{self.settings.api_host}:{self.api_port}")

    async def wait(self) -> None:
        """Until it is stopped; raises what a task failed with."""
        if self._task is not None:
            await asyncio.wait({self._task})
            if not self._task.cancelled():
                self._task.result()

    async def stop(self) -> None:
        """End the tasks, then the API, then the streams: Envoy keeps what it has."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        for runner in self._runners:
            await runner.cleanup()
        await self.server.stop()

    async def _run(self) -> None:
        outside = self.outside
        async with outside.client or contextlib.nullcontext(), asyncio.TaskGroup() as group:
            group.create_task(self.reconciler.run())
            group.create_task(self.fetcher.run())
            for sink in outside.sinks:
                group.create_task(sink.run())
            if outside.election is not None:
                group.create_task(outside.election.run())
            if outside.authority is not None:
                group.create_task(outside.authority.run())
                if outside.data_plane is not None:
                    group.create_task(outside.data_plane.run())
                    group.create_task(outside.data_plane.look())
            if self.webhook is not None:
                group.create_task(self.webhook.run())
            if outside.authority is not None and self.settings.xds_tls:
                await outside.authority.ready.wait()
                await self.server.start()
                if self.teller is not None:
                    group.create_task(self.teller.run())

    async def _serve_api(self) -> None:
        recent = Recent()
        self.board.subscribe(recent.note)
        api = Api(
            reconciler=self.reconciler,
            board=self.board,
            store=self.publisher.store,
            server=self.server,
            metrics=self.metrics,
            locate=self.outside.provider.locate,
            blind=self.outside.provider.blind,
            recent=recent,
            hosts=self.settings.api_hosts,
        )
        runner = await self._listen(api.application(), "API", self.settings.api_host, self.settings.api_port)
        self.api_port = runner.addresses[0][1]
        if self.settings.probe_address:
            host, _, port = self.settings.probe_address.rpartition(":")
            await self._listen(api.probes(), "server for probes", host, int(port))

    async def _listen(self, application: web.Application, noun: str, host: str, port: int) -> web.AppRunner:
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            await runner.cleanup()
            raise OSError(error.errno, f"The {noun} can't listen on {host}:{port}: {error.strerror}") from None
        self._runners.append(runner)
        return runner


def bootstrap(settings: Settings, pipeline: NewPipeline | None = None) -> Operator:
    """All parts, joined; needs a running event loop. `pipeline` is for tests that need a broken one."""
    loop = asyncio.get_running_loop()
    metrics = Metrics()
    publications = Publications()
    board = StatusBoard(
        publications,
        settings.settle_s,
        on_settled=lambda at: metrics.reached("acknowledged", at),
        apart=settings.xds_tls,
    )
    pool = AddressPool(read_pool(settings.gateway_addresses), by_service=bool(settings.envoy_image))
    outside = surroundings(settings, board, pool)

    material = replica_certificate(settings, outside.authority)
    ledgers = MergedLedger(publications, board.observe_ledger)
    exchange = Exchange(loop, ledgers, new_teller(settings, outside, material, board), metrics)
    publisher = Publisher(exchange.notify, settings.removal_grace_s)
    reconciler = Reconciler(
        provider=outside.provider,
        new_pipeline=pipeline
        or new_pipeline(
            emit_settings(settings),
            settings.removal_grace_s,
            metrics,
            apart=settings.xds_tls,
            pods=settings.lease_namespace if settings.envoy_image else "",
        ),
        publications=publications,
        board=board,
        publish=_both(publisher.publish, exchange.published),
        metrics=metrics,
    )
    fetcher = KeyFetcher(reconciler.take_fetched, settings.state_dir / "keys")
    reconciler.on_changes = _both(fetcher.observe, pool.observe)
    if outside.data_plane is not None:
        reconciler.on_changes = _both(reconciler.on_changes, outside.data_plane.observe_objects)
        reconciler.on_step = outside.data_plane.observe_step
    pool.begin(reconciler.take_fetched)
    board.subscribe(metrics.count)
    for sink in outside.sinks:
        board.subscribe(sink.observe)
    return Operator(
        settings=settings,
        outside=outside,
        publisher=publisher,
        server=XdsServer(settings.xds_target, publisher, material, exchange.hear),
        teller=exchange.teller,
        board=board,
        reconciler=reconciler,
        fetcher=fetcher,
        metrics=metrics,
        webhook=admission(settings, outside, reconciler, metrics),
    )


def _both(first: Callable[[T], None], second: Callable[[T], None]) -> Callable[[T], None]:
    def call(value: T) -> None:
        first(value)
        second(value)

    return call


def new_teller(
    settings: Settings, outside: Surroundings, material: Callable[[], TlsMaterial] | None, board: StatusBoard
) -> Teller | None:
    """Who tells the replica that leads, where there may be several."""
    if outside.election is None or material is None or not settings.replica_address:
        return None
    election = outside.election
    return Teller(
        leader=lambda: election.leader,
        server_name=server_names(settings)[0],
        material=material,
        publications=board.publications,
        unsettled=board.unsettled,
    )


def admission(settings: Settings, outside: Surroundings, reconciler: Reconciler, metrics: Metrics) -> Webhook | None:
    """Where the API server asks, if it does."""
    if not settings.webhook_address or outside.client is None or outside.authority is None:
        return None
    return Webhook(
        settings=settings, client=outside.client, authority=outside.authority, reconciler=reconciler, metrics=metrics
    )


def emit_settings(settings: Settings) -> EmitSettings:
    """What the emitter has to know of where the proxy runs."""
    return EmitSettings(
        bind_address=settings.bind_address,
        ports=settings.ports,
        front_addresses=settings.front_addresses,
        access_log=settings.access_log,
        decision_timeout_ms=settings.decision_timeout_ms,
        listen_everywhere=bool(settings.envoy_image),
    )


def tune_interpreter() -> None:
    """For a process of its own: threads take turns soon, and nothing is collected while everything is being made.

    All threads take memory from one place: by themselves each has its own, and what one thread made at the start and
    another replaces later would leave holes there that nobody fills. What is large is given back by itself.
    """
    sys.setswitchinterval(SWITCH_S)
    gc.disable()
    with contextlib.suppress(AttributeError, OSError):
        allocator = ctypes.CDLL(None)
        allocator.mallopt(_M_ARENA_MAX, 1)
        allocator.mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)


async def set_aside(operator: Operator) -> None:
    """After the first step: what lives now stays out of the collector's sight, and what is free is given back.

    Ten thousand routes are millions of objects that stay; a full collection would walk them all, and hold up every
    change meanwhile. Those that are replaced are still freed, by their reference counts. Nothing is collected before:
    that takes 0.6 s for ten thousand routes, in which nobody else runs, and found nothing.
    """
    await operator.reconciler.first_step.wait()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    gc.enable()
    await asyncio.to_thread(_give_back)
    given_s = time.process_time()
    while True:
        began_s = time.process_time()
        await asyncio.sleep(_QUIET_S)
        quiet = time.process_time() - began_s < _QUIET * _QUIET_S
        if quiet and began_s - given_s >= _WORK_S:
            await asyncio.to_thread(_give_back)
            given_s = time.process_time()


def _give_back() -> None:
    """To the kernel, what was freed: glibc keeps it (malloc_trim(3)). Other C libraries have no such.

    With ten thousand routes it takes 20 ms, in which nobody else is given memory.
    """
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
