"""The adapters of this process: each is imported when a rule first names it, and made when it is first needed.

In: what is new in the snapshot; the protocol of a rule. Out: adapters, and where calls of gRPC go. Called by bootstrap
and door. The libraries of the protocols cost a good part of a start, and most gateways speak few.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from fastforward_pipeline.compiled.schema import Schema
from fastforward_pipeline.message import Exchange

from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_entrypoint.endpoint import Current

from .door import Adapter
from .identifier import make_message_id

if TYPE_CHECKING:
    from fastforward_grpc import GrpcServer
    from fastforward_websocket import Connections

PACKAGES = {
    snapshot_pb2.ADAPTER_PROTOCOL_GRAPHQL: "fastforward_graphql",
    snapshot_pb2.ADAPTER_PROTOCOL_GRPC: "fastforward_grpc",
    snapshot_pb2.ADAPTER_PROTOCOL_WEBSOCKET: "fastforward_websocket",
}


def import_adapters(resources: Iterable[snapshot_pb2.Resource]) -> None:
    """Imports what new rules name. Called in the thread that builds snapshots: no request waits for it."""
    for resource in resources:
        if resource.plan.HasField("adapter"):
            package = PACKAGES.get(resource.plan.adapter.protocol)
            if package is not None:
                import_module(package)


class Adapters:
    """Made and used on the event loop; `exchange` takes their messages."""

    def __init__(self, exchange: Exchange, snapshots: Current, connections: Connections) -> None:
        self._exchange = exchange
        self._snapshots = snapshots
        self._connections = connections
        self._made: dict[snapshot_pb2.AdapterProtocol.ValueType, Adapter] = {}
        self._calls: GrpcServer | None = None
        self._starting = asyncio.Lock()

    def of(self, protocol: snapshot_pb2.AdapterProtocol.ValueType) -> Adapter:
        """Returns the adapter of a protocol. Raises KeyError for one whose requests are not those of HTTP."""
        adapter = self._made.get(protocol)
        if adapter is None:
            adapter = self._made[protocol] = self._make(protocol)
        return adapter

    def _make(self, protocol: snapshot_pb2.AdapterProtocol.ValueType) -> Adapter:
        match protocol:
            case snapshot_pb2.ADAPTER_PROTOCOL_GRAPHQL:
                from fastforward_graphql import GraphqlAdapter

                return GraphqlAdapter(self._exchange, self._find_schema, time.time, make_message_id)
            case snapshot_pb2.ADAPTER_PROTOCOL_WEBSOCKET:
                from fastforward_websocket import WebSocketAdapter

                return WebSocketAdapter(self._exchange, self._connections, time.time, make_message_id)
            case _:
                raise KeyError(protocol)

    async def calls(self) -> Path:
        """Returns the socket of gRPC's server, which starts with the first connection. Raises OSError."""
        async with self._starting:
            if self._calls is None:
                from fastforward_grpc import GrpcAdapter, GrpcServer

                adapter = GrpcAdapter(
                    self._exchange, self._find_dispatch, self._find_schema, clock=time.time, make_id=make_message_id
                )
                server = GrpcServer(adapter)
                await server.start()
                self._calls = server
        return self._calls.path

    async def end_calls(self, seconds: float) -> None:
        """Takes no more calls of gRPC, and waits as long for those that are under way."""
        if self._calls is not None:
            await self._calls.stop(seconds)

    def _find_schema(self, name: str) -> Schema | None:
        return self._snapshots.current.schemas.get(name)

    def _find_dispatch(self, plan: str) -> snapshot_pb2.AdapterDispatch | None:
        known = self._snapshots.current.plans.get(plan)
        return known.wire.adapter if known is not None and known.destination == "adapter" else None
