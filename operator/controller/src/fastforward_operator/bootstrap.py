"""Puts the operator together: the one place that knows all its parts.

In: Settings. Out: a running operator, until `stop`. Called by __main__, and by tests that run it in process. Nothing
opens a socket before `start`; every task belongs to one TaskGroup.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog
from aiohttp import web
from fastforward_compiler.emit.envoy import EmitSettings
from fastforward_compiler.emit.kubernetes import PodSettings
from fastforward_compiler.problem import ObjectRef

from .addresses import AddressPool, read_pool
from .admission.webhook import Webhook
from .api import Api
from .certificates import Subject
from .jwks import KeyFetcher
from .kubernetes.access import find_access
from .kubernetes.authority import Authority
from .kubernetes.client import Client
from .kubernetes.dataplane import DataPlane
from .kubernetes.events import EventWriter
from .kubernetes.lease import Election, lease_name
from .kubernetes.serving import ServingCertificate
from .kubernetes.statuswriter import StatusWriter
from .pipeline import Change, NewPipeline, new_pipeline
from .providers import Provider, Source
from .providers.file import FileProvider
from .providers.kubernetes import WATCHED, WATCHED_ALL, KubernetesProvider, OnStatus
from .providers.lastgood import LastGood
from .publication import Publications
from .reconcile import Reconciler
from .settings import Settings
from .status import ObjectStatus, StatusBoard
from .statusfiles import StatusFiles
from .telemetry import Metrics
from .xds.identity import TlsMaterial
from .xds.ledger import LedgerUpdate
from .xds.publisher import Publisher
from .xds.server import XdsServer

_log = structlog.get_logger(__name__)

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
            if self.webhook is not None:
                group.create_task(self.webhook.run())
            if outside.authority is not None and self.settings.xds_tls:
                await outside.authority.ready.wait()
                await self.server.start()

    async def _serve_api(self) -> None:
        api = Api(
            reconciler=self.reconciler,
            board=self.board,
            store=self.publisher.store,
            server=self.server,
            metrics=self.metrics,
            locate=self.outside.provider.locate,
            blind=self.outside.provider.blind,
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


class Eyes(Provider, Protocol):
    """A provider that knows where fields are, and whether it sees."""

    def locate(self, source: Source, field: str) -> Source:
        """Where a field of a document is."""
        ...

    def blind(self) -> list[str]:
        """Kinds of which nothing has been heard for too long."""
        ...


class StatusSink(Protocol):
    """Tells statuses somewhere."""

    def observe(self, ref: ObjectRef, status: ObjectStatus | None) -> None:
        """A status changed."""
        ...

    async def run(self) -> None:
        """Until cancelled."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where resources come from, and where what is said of them goes."""

    provider: Eyes
    sinks: tuple[StatusSink, ...]
    """Where statuses are told besides the API."""
    election: Election | None = None
    """Who writes, where several operators may."""
    client: Client | None = None
    """Of the Kubernetes API, where resources come from there."""
    authority: Authority | None = None
    """Who signs certificates, where nodes must prove who they are."""
    data_plane: DataPlane | None = None
    """Who runs proxies and decision services as pods."""


def surroundings(settings: Settings, board: StatusBoard, pool: AddressPool) -> Surroundings:
    """By the setting `provider`. Raises AccessError."""
    if settings.provider == "file":
        provider = FileProvider(settings.directories, LastGood(settings.state_dir))
        files = StatusFiles(settings.state_dir / "status")
        return Surroundings(provider=provider, sinks=(files,) if settings.write_status else ())
    client = Client(find_access(settings.kubeconfig))
    election = Election(
        client,
        identity=f"{socket.gethostname()}-{os.getpid()}",
        namespace=settings.lease_namespace,
        name=lease_name(settings.namespaces),
    )
    writer = StatusWriter(client, board.proxies, lambda: election.leads)
    board.since = writer.since
    certifies = settings.xds_tls or settings.webhook_address
    authority = Authority(client, settings.lease_namespace, lambda: election.leads) if certifies else None
    data_plane = None
    if authority is not None and settings.envoy_image:
        data_plane = DataPlane(client, authority, pod_settings(settings), lambda: election.leads)
        authority.on_change.append(data_plane.wake)

    def elected() -> None:
        writer.write_all()
        if data_plane is not None:
            data_plane.wake()

    election.on_elected = elected
    return Surroundings(
        provider=KubernetesProvider(
            client,
            _told_to(writer.recall, pool.recall),
            WATCHED_ALL if settings.secrets == "all" else WATCHED,
            settings.namespaces,
        ),
        sinks=(writer, EventWriter(client, lambda: election.leads)) if settings.write_status else (),
        election=election if settings.write_status else None,
        client=client,
        authority=authority,
        data_plane=data_plane,
    )


def pod_settings(settings: Settings) -> PodSettings:
    """What pods are told of the installation."""
    _, _, port = settings.xds_address.rpartition(":")
    return PodSettings(
        namespace=settings.lease_namespace,
        envoy_image=settings.envoy_image,
        decision_image=settings.decision_image,
        pull_policy=settings.image_pull_policy,
        pull_secrets=settings.image_pull_secrets,
        operator_host=settings.operator_service,
        operator_port=int(port),
        decision=settings.decision,
    )


def xds_certificate(settings: Settings, authority: Authority | None) -> Callable[[], TlsMaterial] | None:
    """What the xDS server shows to nodes that must prove who they are."""
    if authority is None or not settings.xds_tls:
        return None
    hosts = settings.xds_names or (f"{settings.operator_service}.{settings.lease_namespace}.svc",)
    return ServingCertificate(authority, Subject(name="fastforward-operator", hosts=hosts, server=True)).material


def _told_to(*listeners: OnStatus) -> OnStatus:
    def tell(ref: ObjectRef, status: Mapping[str, Any]) -> None:
        for listener in listeners:
            listener(ref, status)

    return tell


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
    pool = AddressPool(read_pool(settings.gateway_addresses))
    outside = surroundings(settings, board, pool)

    def notify(update: LedgerUpdate) -> None:
        metrics.refusals.inc(sum(len(state.refused) for state in update.keys.values()))
        if not loop.is_closed():
            loop.call_soon_threadsafe(board.observe_ledger, update)

    publisher = Publisher(notify, settings.removal_grace_s)
    reconciler = Reconciler(
        provider=outside.provider,
        new_pipeline=pipeline
        or new_pipeline(emit_settings(settings), settings.removal_grace_s, metrics, apart=settings.xds_tls),
        publications=publications,
        board=board,
        publish=publisher.publish,
        metrics=metrics,
    )
    fetcher = KeyFetcher(reconciler.take_fetched, settings.state_dir / "keys")
    observers: list[Callable[[Mapping[ObjectRef, Change]], None]] = [fetcher.observe, pool.observe]
    if outside.data_plane is not None:
        observers.append(outside.data_plane.observe_objects)
        reconciler.on_step = outside.data_plane.observe_step

    def observe(changes: Mapping[ObjectRef, Change]) -> None:
        for observer in observers:
            observer(changes)

    reconciler.on_changes = observe
    pool.begin(reconciler.take_fetched)
    board.subscribe(metrics.count)
    for sink in outside.sinks:
        board.subscribe(sink.observe)
    return Operator(
        settings=settings,
        outside=outside,
        publisher=publisher,
        server=XdsServer(settings.xds_target, publisher, xds_certificate(settings, outside.authority)),
        board=board,
        reconciler=reconciler,
        fetcher=fetcher,
        metrics=metrics,
        webhook=admission(settings, outside, reconciler, metrics),
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
        access_log=settings.access_log,
        decision_timeout_ms=settings.decision_timeout_ms,
    )


def tune_interpreter() -> None:
    """For a process of its own: threads take turns soon, and nothing is collected while everything is being made."""
    sys.setswitchinterval(SWITCH_S)
    gc.disable()


async def set_aside(operator: Operator) -> None:
    """After the first step: what lives now stays out of the collector's sight.

    Ten thousand routes are millions of objects that stay; a full collection would walk them all, and hold up every
    change meanwhile. Those that are replaced are still freed, by their reference counts. Nothing is collected before:
    that takes 0.6 s for ten thousand routes, in which nobody else runs, and found nothing.
    """
    await operator.reconciler.first_step.wait()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    gc.enable()
