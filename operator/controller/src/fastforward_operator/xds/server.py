"""The socket of the control plane: delta ADS for Envoy, the snapshot service and inquiries for decision services.

In: streams of nodes. Out: what their sessions want sent. Called by bootstrap, which starts it before the first
compile; nobody is told anything before that is published. It runs in a thread of its own.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import structlog
from envoy.service.discovery.v3 import discovery_pb2

from fastforward.inspection.v1 import inspection_pb2
from fastforward.replica.v1 import replica_pb2
from fastforward.snapshot.v1 import snapshot_pb2

from .identity import TlsMaterial, credentials, identity_of
from .inspection import Inspections, Told
from .publisher import Publisher
from .session import DecisionSession, EnvoySession
from .store import SHARED

_log = structlog.get_logger(__name__)

_Context = grpc.aio.ServicerContext[Any, bytes]
AnySession = EnvoySession | DecisionSession
_Method = Callable[[AsyncIterator[Any], _Context], Awaitable[None]]

_ADS = "envoy.service.discovery.v3.AggregatedDiscoveryService"
_SNAPSHOTS = "fastforward.snapshot.v1.SnapshotService"
_LEDGERS = "fastforward.replica.v1.ReplicaService"
_INSPECTIONS = "fastforward.inspection.v1.InspectionService"
_NEVER_LIMIT = -1
_OPTIONS = (
    ("grpc.max_send_message_length", _NEVER_LIMIT),
    # A reconnecting Envoy lists every resource that it holds.
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    # A frozen peer is noticed within the sum of the two.
    ("grpc.keepalive_time_ms", 2_000),
    ("grpc.keepalive_timeout_ms", 3_000),
    # A ping of the bandwidth probe would stand in for that of the keepalive, with a time-out of a minute.
    ("grpc.http2.ping_timeout_ms", 3_000),
    ("grpc.http2.bdp_probe", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # Peers ping us as often.
    ("grpc.http2.min_ping_interval_without_data_ms", 500),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 500),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.so_reuseport", 0),
)


class XdsServer:
    """Serves on `address`: `unix:/path` (only this user may connect) or `host:port`.

    With `tls`, which is asked at each handshake, a node must prove who it is, and a proxy is told of its own Edge only.
    Then `hear` is told, in the server's thread, what other replicas tell: stream, replica, delta (None: it ended).
    """

    def __init__(
        self,
        address: str,
        publisher: Publisher,
        tls: Callable[[], TlsMaterial] | None = None,
        hear: Callable[[int, str, replica_pb2.LedgerDelta | None], None] = lambda *_: None,
    ) -> None:
        self.address = address
        self._hear = hear
        self._tls = tls
        self.serving = False
        self.port = 0
        """The port that was given, when the address asked for any (`:0`)."""
        self._publisher = publisher
        self._inspections = Inspections()
        self._sids = itertools.count(1)
        self._loop = asyncio.new_event_loop()
        # What is published before it serves is not lost: it waits in the loop. An authority may be long in coming.
        publisher.bind(self._loop)
        self._stop = asyncio.Event()
        self._started: asyncio.Future[None] | None = None
        self._thread = threading.Thread(target=self._run, name="xds", daemon=True)

    async def start(self) -> None:
        """Returns when the socket listens; raises OSError when it can't."""
        main = asyncio.get_running_loop()
        self._started = main.create_future()
        self._thread.start()
        await self._started

    async def stop(self) -> None:
        """Close all streams and wait for the thread."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            await asyncio.to_thread(self._thread.join)

    async def inspect(self, read: Callable[[Publisher], object]) -> object:
        """Call `read` in the server's thread."""

        async def call() -> object:
            return read(self._publisher)

        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call(), self._loop))

    async def ask(self, inquiry: inspection_pb2.Inquiry) -> list[Told]:
        """Ask all EntryPoints that are connected."""
        if not self.serving:
            return []
        asked = asyncio.run_coroutine_threadsafe(self._inspections.ask(inquiry), self._loop)
        return await asyncio.wrap_future(asked)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        server = grpc.aio.server(options=_OPTIONS)
        handlers = [_ads_handler(self._ads), _snapshot_handler(self._snapshots), _inspection_handler(self._inquiries)]
        if self._tls is not None:
            handlers.append(_ledger_handler(self._ledgers))
        server.add_generic_rpc_handlers(tuple(handlers))
        try:
            self.port = self._listen(server)
            await server.start()
        except (OSError, RuntimeError) as error:
            self._report(OSError(f"The xDS server can't listen on {self.address}: {error}"))
            return
        self.serving = True
        self._report(None)
        await self._stop.wait()
        await server.stop(grace=0)
        # The library ends its streams in tasks of its own; a loop closed before they are done leaves a traceback.
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        if tasks:
            await asyncio.wait(tasks, timeout=1.0)

    def _listen(self, server: grpc.aio.Server) -> int:
        path = self.address.removeprefix("unix:")
        if self._tls is not None:
            return server.add_secure_port(self.address, credentials(self._tls))
        if path == self.address:
            return server.add_insecure_port(self.address)
        Path(path).unlink(missing_ok=True)
        before = os.umask(0o177)  # A socket that is closed to others only a moment after it is bound was open to them.
        try:
            return server.add_insecure_port(self.address)
        finally:
            os.umask(before)

    def _report(self, error: OSError | None) -> None:
        started = self._started
        if started is not None:
            loop = started.get_loop()
            if error is None:
                loop.call_soon_threadsafe(started.set_result, None)
            else:
                loop.call_soon_threadsafe(started.set_exception, error)

    async def _ads(self, requests: AsyncIterator[discovery_pb2.DeltaDiscoveryRequest], context: _Context) -> None:
        fleet = await self._identify(context, "edge", "gateway")
        session = EnvoySession(next(self._sids), self._publisher.store, self._publisher.decision_gate, fleet)
        await self._converse(session, requests, context)

    async def _snapshots(self, requests: AsyncIterator[snapshot_pb2.SnapshotRequest], context: _Context) -> None:
        await self._identify(context, "workload")
        await self._converse(DecisionSession(next(self._sids), self._publisher.store), requests, context)

    async def _ledgers(self, requests: AsyncIterator[replica_pb2.LedgerDelta], context: _Context) -> None:
        """Another replica tells what its nodes acknowledged."""
        name = (await self._identify(context, "operator")).partition("/")[2]
        stream, heard = next(self._sids), False
        try:
            async for delta in requests:
                self._hear(stream, name, delta)
                if delta.complete and not heard:
                    heard = True
                    await context.write(replica_pb2.LedgerHeard().SerializeToString())
        finally:
            self._hear(stream, name, None)

    async def _inquiries(self, answers: AsyncIterator[inspection_pb2.Answer], context: _Context) -> None:
        """An EntryPoint may be asked."""
        await self._identify(context, "workload")
        await self._inspections.converse(answers, context.write)

    async def _identify(self, context: _Context, *kinds: str) -> str:
        """Returns the fleet of a node; ends the stream of one of another kind."""
        if self._tls is None:
            return SHARED
        identity = identity_of(context.auth_context())
        if identity is None or identity.kind not in kinds:
            _log.warning("node refused", peer=context.peer(), identity=identity.uri if identity else "")
            words = f"The certificate names no {' or '.join(kinds)}."
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, words)
        return identity.fleet

    async def _converse(self, session: AnySession, requests: AsyncIterator[Any], context: _Context) -> None:
        """Both directions, until one of them ends."""
        awake = asyncio.Event()
        self._publisher.join(session, awake.set)
        tasks = {
            asyncio.create_task(self._receive(session, requests)),
            asyncio.create_task(self._send(session, context, awake)),
        }
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except Exception:
            _log.exception("stream failed", node=session.name, kind=session.kind)
            raise
        finally:
            for task in tasks:
                task.cancel()
            self._publisher.leave(session)
            _log.info("node disconnected", node=session.name, kind=session.kind)

    async def _receive(self, session: AnySession, requests: AsyncIterator[Any]) -> None:
        async for request in requests:
            known = session.name != ""
            receipt = session.receive(request, time.monotonic())
            if not known:
                _log.info("node connected", node=session.name, kind=session.kind)
            for key in receipt.refused:
                words = session.channels[key.type_url].refused[key.name].message
                _log.warning("resource refused", node=session.name, type=key.type_url, name=key.name, message=words)
            self._publisher.observe(session, receipt)

    async def _send(self, session: AnySession, context: _Context, awake: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        while True:
            response = session.next_response(time.monotonic()) if self._publisher.ready else None
            if response is not None:
                await context.write(response)
                continue
            timer = None
            if session.wake_at > 0:
                timer = loop.call_later(max(0.0, session.wake_at - time.monotonic()), awake.set)
            await awake.wait()
            awake.clear()
            if timer is not None:
                timer.cancel()


def _ads_handler(method: _Method) -> grpc.GenericRpcHandler:
    rpc = grpc.stream_stream_rpc_method_handler(
        method, request_deserializer=discovery_pb2.DeltaDiscoveryRequest.FromString
    )
    return grpc.method_handlers_generic_handler(_ADS, {"DeltaAggregatedResources": rpc})


def _ledger_handler(method: _Method) -> grpc.GenericRpcHandler:
    rpc = grpc.stream_stream_rpc_method_handler(method, request_deserializer=replica_pb2.LedgerDelta.FromString)
    return grpc.method_handlers_generic_handler(_LEDGERS, {"StreamLedger": rpc})


def _inspection_handler(method: _Method) -> grpc.GenericRpcHandler:
    rpc = grpc.stream_stream_rpc_method_handler(method, request_deserializer=inspection_pb2.Answer.FromString)
    return grpc.method_handlers_generic_handler(_INSPECTIONS, {"StreamInquiries": rpc})


def _snapshot_handler(method: _Method) -> grpc.GenericRpcHandler:
    rpc = grpc.stream_stream_rpc_method_handler(method, request_deserializer=snapshot_pb2.SnapshotRequest.FromString)
    return grpc.method_handlers_generic_handler(_SNAPSHOTS, {"StreamSnapshot": rpc})
