"""Puts EntryPoint together and runs it until SIGTERM. Called by `__main__`, in each process that decides.

The order of lines is the order of events: what was kept is restored; once the snapshot is complete, this process
listens and Envoy may ask; after SIGTERM requests are answered until nobody asks any more.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import structlog
from fastforward_kit.health import Health, health_handler
from fastforward_kit.http import Address, HttpServer, Splice
from fastforward_kit.lifecycle import either, set_aside_live_objects, stop_signals
from fastforward_kit.snapshot import SnapshotClient, SnapshotFile, SnapshotHolder
from fastforward_kit.snapshot.client import SnapshotMetrics, Target
from fastforward_kit.snapshot.keeper import keep_on_disk, restore, save
from fastforward_kit.telemetry import new_registry
from fastforward_kit.tls import NodeTls
from fastforward_kit.websocket import Guard
from fastforward_pipeline import Snapshot
from fastforward_pipeline.compiled.upstream import Upstream
from fastforward_pipeline.message import Exchange
from fastforward_rest import RestAdapter
from fastforward_shield.metrics import HopCollector
from prometheus_client import CollectorRegistry

from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_entrypoint.counters import CounterStore, InProcessCounterStore
from fastforward_entrypoint.endpoint import DecisionEndpoint
from fastforward_entrypoint.ends import Ends
from fastforward_entrypoint.external import ServiceAsker, import_client
from fastforward_entrypoint.measures import ConnectionMeasures, Measures, RedisMeasures
from fastforward_entrypoint.messages.adapters import Adapters, import_adapters
from fastforward_entrypoint.messages.apart import RemoteExchange
from fastforward_entrypoint.messages.commands.opening import open_commands
from fastforward_entrypoint.messages.connections.opening import open_connections
from fastforward_entrypoint.messages.door import Ways, decide_nothing, door
from fastforward_entrypoint.messages.exchange import Callees, MessageExchange
from fastforward_entrypoint.messages.handshakes import Handshakes
from fastforward_entrypoint.messages.hooks.opening import open_hooks
from fastforward_entrypoint.messages.identifier import make_message_id
from fastforward_entrypoint.messages.inside import Inside
from fastforward_entrypoint.messages.keys import open_seal
from fastforward_entrypoint.messages.lines import Hops
from fastforward_entrypoint.messages.observation import Observation
from fastforward_entrypoint.messages.remembering import open_once_store
from fastforward_entrypoint.messages.stages import GrpcStages, serve_stages
from fastforward_entrypoint.messages.targets import GrpcTargets, how_told
from fastforward_entrypoint.oidc import TokenEndpoints
from fastforward_entrypoint.passwords import PasswordVerifier
from fastforward_entrypoint.responses import ResponseEndpoint
from fastforward_entrypoint.settings import Settings

if TYPE_CHECKING:
    from fastforward_entrypoint.counters.redis import RedisCounterStore

log = structlog.get_logger(__name__)

LINGER_SECONDS = 0.3  # in which a successor may take the socket over
SNAPSHOT, SOCKET = "snapshot", "socket"


class EntryPoint:
    """The parts, put together; nothing is opened before `run`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._usable = asyncio.Event()
        self._listening = asyncio.Event()
        self._health = Health({SNAPSHOT, SOCKET})
        registry = new_registry()
        self._health_server = HttpServer(health_handler(self._health, registry))
        self._holder = SnapshotHolder(Snapshot.empty(), _prepare)
        self._file = SnapshotFile(settings.state_dir) if settings.state_dir else None
        self._tls = NodeTls(settings.tls_dir) if settings.tls_dir else None
        self._client = SnapshotClient(
            self._holder,
            target=Target(settings.operator, self._tls),
            node=settings.node,
            usable=self._become_usable,
            serving=self._listening.wait,
            stale_start_seconds=settings.stale_start_seconds,
        )
        counters, self._redis = _counter_store(settings, registry)
        self._ends = Ends(counters, registry)
        self._passwords, self._services = PasswordVerifier(threads=settings.password_threads), self._asker()
        self._targets = GrpcTargets(self._find_upstream, find_how=how_told(self._holder))
        self._stages = GrpcStages(self._find_upstream, self._tls)
        self._hooks = open_hooks(settings, self._holder, registry)
        self._remote = RemoteExchange(settings.exchange, self._tls) if settings.exchange is not None else None
        self._commands = open_commands(settings)
        hops = Hops(
            self._targets.lines, self._stages.lines, self._hooks, self._commands, self._services, self._remote or ()
        )
        self._observation = Observation(settings, registry, Target(settings.operator, self._tls), hops)
        self._seal = open_seal(settings.seal_key_file)
        self._once = open_once_store(settings)
        callees = Callees(
            self._targets,
            self._stages,
            hooks=self._hooks,
            watch=self._observation.watch,
            commands=self._commands,
            passwords=self._passwords,
            services=self._services,
            ends=self._ends,
        )
        exchange = self._exchange = MessageExchange(self._holder, counters, self._once, callees, self._seal)
        self._connections = open_connections(settings, exchange.events)
        # Where messages are handed on, none are taken: they would go round in circles.
        self._inside = Inside(settings, self._tls, self._connections, exchange if self._remote is None else None)
        self._guard = Guard()
        for measured in (
            SnapshotMetrics(self._holder, self._client),
            HopCollector(hops),
            ConnectionMeasures(self._guard, self._connections.errors),
        ):
            registry.register(measured)
        handler = door(
            self._ways(counters, Measures(registry)),
            self._holder,
            Handshakes(self._holder, time.time, self._passwords),
            self._guard,
        )
        self._server = HttpServer(
            handler,
            tls=self._tls.server if self._tls else None,
            peers="(edge|gateway)",
            http2=lambda: Splice(self._adapters.calls),
        )

    def _asker(self) -> ServiceAsker:
        return ServiceAsker(self._find_upstream)

    def _ways(self, counters: CounterStore, measures: Measures) -> Ways:
        way: Exchange = self._remote or self._exchange
        self._adapters = Adapters(way, self._holder, self._connections)
        rest = RestAdapter(way, time.time, make_message_id)
        if self._remote is not None:
            return Ways(decide_nothing, decide_nothing, rest, self._adapters.of, self._ends.handle)
        self._issuers = TokenEndpoints()
        decisions = DecisionEndpoint(
            self._holder, counters, measures, passwords=self._passwords, services=self._services, issuers=self._issuers
        )
        decisions.ends = self._ends
        responses = ResponseEndpoint(self._holder, measures)
        return Ways(decisions, responses, rest, self._adapters.of, self._ends.handle)

    async def run(self) -> None:
        """Decides until SIGTERM. Raises OSError, in a group, when an address is taken."""
        stop = _stop_events(self._settings)
        if self._file is not None:
            await restore(self._holder, self._file)
        await self._answer_health()
        async with asyncio.TaskGroup() as tasks:
            background = tasks.create_task(self._work())
            await self._listen(stop)
            await stop.wait()
            self._health.stopping = True
            calls = tasks.create_task(self._end_calls())
            await self._server.drain(linger_seconds=LINGER_SECONDS, limit_seconds=self._settings.drain_seconds)
            await calls
            background.cancel()
        await self._close()

    async def _work(self) -> None:
        """What goes on beside the requests."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._client.run())
            tasks.create_task(self._observation.run())
            tasks.create_task(self._targets.lines.follow())
            tasks.create_task(self._stages.lines.follow())
            tasks.create_task(self._guard.run(lambda: self._holder.changes))
            tasks.create_task(self._connections.run())
            if self._settings.stages_listen is not None:
                tasks.create_task(self._serve_stages(self._settings.stages_listen))
            if self._file is not None:
                tasks.create_task(keep_on_disk(self._holder, self._file))
            if self._tls is not None:
                tasks.create_task(self._tls.follow())
            tasks.create_task(self._once.run())
            tasks.create_task(self._hooks.run())
            tasks.create_task(self._commands.run())
            if self._redis is not None:
                tasks.create_task(self._redis.run())

    async def _serve_stages(self, address: str) -> None:
        # Not before there is something to go by: whoever asks would be told of rules that they are not there.
        await self._usable.wait()
        # A key of this process alone has signed nothing that others ask about.
        seal = self._seal if self._settings.seal_key_file is not None else None
        shared = bool(self._settings.worker)
        await serve_stages(address, self._holder, self._tls, self._observation.watch, seal, shared=shared)

    async def _end_calls(self) -> None:
        await asyncio.sleep(LINGER_SECONDS)
        seconds = self._settings.drain_seconds
        await asyncio.gather(self._adapters.end_calls(seconds), self._inside.stop(seconds))

    def _find_upstream(self, name: str) -> Upstream | None:
        return self._holder.current.upstreams.get(name)

    def _become_usable(self) -> None:
        set_aside_live_objects()
        self._usable.set()
        self._health.waiting_for.discard(SNAPSHOT)

    async def _answer_health(self) -> None:
        wanted = Address(host=self._settings.health_host, port=self._settings.health_port)
        address = await self._health_server.listen(wanted)
        log.info("health", url=f"http://{address}/readyz")

    async def _listen(self, stop: asyncio.Event) -> None:
        settings = self._settings
        # Not before there is something to decide by: until then a predecessor, or another service, decides.
        await either(self._usable.wait(), stop.wait())
        if self._usable.is_set():
            await self._inside.start()
        if settings.worker_socket is not None:
            await self._server.accept(socket.socket(fileno=settings.worker_socket))
        elif self._usable.is_set():
            await self._server.listen(settings.address)
        self._listening.set()
        self._health.waiting_for.discard(SOCKET)

    async def _close(self) -> None:
        if self._file is not None and self._holder.complete:
            save(self._holder, self._file)
        await self._exchange.close()
        self._passwords.close()
        await self._services.close()
        await self._issuers.close()
        await self._once.close()
        await self._hooks.close()
        await self._connections.end()
        await self._targets.lines.close()
        await self._stages.lines.close()
        if self._remote is not None:
            await self._remote.close()
        if self._redis is not None:
            await self._redis.close()
        await self._observation.close()
        await self._health_server.drain(linger_seconds=0.0, limit_seconds=0.1)
        self._holder.close()


async def serve(settings: Settings) -> None:
    """Runs EntryPoint."""
    await EntryPoint(settings).run()


def _prepare(resources: Sequence[snapshot_pb2.Resource]) -> None:
    """Imports what is needed for the first time."""
    import_adapters(resources)
    import_client(resources)


def _counter_store(settings: Settings, registry: CollectorRegistry) -> tuple[CounterStore, RedisCounterStore | None]:
    """The store, and again if it is one that runs."""
    if settings.redis_url is None:
        return InProcessCounterStore(capacity=settings.max_local_buckets), None
    # The client costs a fifth of the time and memory of a start: only whoever counts in Redis pays for it.
    from fastforward_entrypoint.counters.redis import RedisCounterStore, connect  # noqa: PLC0415

    client = connect(
        settings.redis_url,
        username=settings.redis_username,
        password=settings.redis_password(),
        deadline=settings.redis_deadline_seconds,
    )
    store = RedisCounterStore(client, deadline=settings.redis_deadline_seconds)
    registry.register(RedisMeasures(store))
    return store, store


def _stop_events(settings: Settings) -> asyncio.Event:
    """Returns the event of SIGTERM and SIGINT, and, in a worker, of the parent's death."""
    stop = stop_signals()
    if settings.worker_lifeline is not None:
        loop, lifeline = asyncio.get_running_loop(), settings.worker_lifeline

        def parent_gone() -> None:
            loop.remove_reader(lifeline)
            stop.set()

        loop.add_reader(lifeline, parent_gone)
    return stop
