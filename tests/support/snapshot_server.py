"""An operator as a workload sees it: serves SnapshotService over a real socket, remembers what it was told.

Tests publish resources and read the acknowledgements. It sends what a reconnecting node lacks, as the contract in
snapshot.proto says.
"""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import grpc

from fastforward.snapshot.v1 import snapshot_pb2, snapshot_pb2_grpc


@dataclass
class Stream:
    """One connected node."""

    node: str
    held: dict[str, str]
    outbox: asyncio.Queue[snapshot_pb2.SnapshotDelta] = field(default_factory=asyncio.Queue)
    sent: list[snapshot_pb2.SnapshotDelta] = field(default_factory=list)
    acknowledged: int = 0


class SnapshotServer(snapshot_pb2_grpc.SnapshotServiceServicer):
    """`complete=False` keeps back the delta that completes the state."""

    def __init__(self, resources: Sequence[snapshot_pb2.Resource] = (), *, chunk: int = 1000) -> None:
        self.resources = {resource.name: resource for resource in resources}
        self.streams: list[Stream] = []
        self.acknowledged: list[snapshot_pb2.SnapshotRequest] = []
        self.completes = True
        self._chunk = chunk
        self._nonces = itertools.count(1)
        self._server: grpc.aio.Server | None = None

    async def start(self, target: str) -> None:
        self._server = grpc.aio.server(
            options=(
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", -1),
                ("grpc.http2.min_recv_ping_interval_without_data_ms", 1000),
                ("grpc.keepalive_permit_without_calls", 1),
            )
        )
        snapshot_pb2_grpc.add_SnapshotServiceServicer_to_server(self, self._server)
        self._server.add_insecure_port(target)
        await self._server.start()

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(grace=None)
            self._server = None

    @contextlib.asynccontextmanager
    async def serving(self, target: str) -> AsyncGenerator[Self]:
        """Served on `target` meanwhile; stopped whatever happens, and it may be stopped before."""
        await self.start(target)
        try:
            yield self
        finally:
            await self.stop()

    async def StreamSnapshot(  # noqa: N802
        self,
        request_iterator: AsyncIterator[snapshot_pb2.SnapshotRequest],
        context: Any,  # noqa: ANN401 - the stubs have no callback that a function could be
    ) -> AsyncIterator[snapshot_pb2.SnapshotDelta]:
        first = await anext(aiter(request_iterator))
        stream = Stream(first.node, dict(first.held))
        for delta in self._difference(stream.held):
            stream.outbox.put_nowait(delta)
        self.streams.append(stream)
        reader = asyncio.create_task(self._read(stream, request_iterator))
        # Not in a finally of this generator: one that a dying client leaves at its yield ends when it is collected.
        context.add_done_callback(lambda _: self._end(stream, reader))
        while True:
            delta = await stream.outbox.get()
            stream.sent.append(delta)
            yield delta

    def _end(self, stream: Stream, reader: asyncio.Task[None]) -> None:
        reader.cancel()
        self.streams.remove(stream)

    async def _read(self, stream: Stream, requests: AsyncIterator[snapshot_pb2.SnapshotRequest]) -> None:
        async for request in requests:
            stream.acknowledged += not request.error
            self.acknowledged.append(request)

    def publish(self, upserts: Sequence[snapshot_pb2.Resource] = (), removed: Sequence[str] = ()) -> str:
        """Sends one delta to every node; returns its nonce."""
        for name in removed:
            self.resources.pop(name, None)
        self.resources.update({resource.name: resource for resource in upserts})
        delta = self._delta(upserts, removed)
        for stream in self.streams:
            stream.outbox.put_nowait(delta)
        return delta.nonce

    def complete(self) -> None:
        """Says to every node that it has all there is."""
        for stream in self.streams:
            stream.outbox.put_nowait(self._delta((), (), complete=True))

    def error_of(self, nonce: str) -> str | None:
        """What was wrong with a delta; empty when it was acknowledged, None while nothing has been heard."""
        return next((request.error for request in self.acknowledged if request.nonce == nonce), None)

    def _difference(self, held: dict[str, str]) -> list[snapshot_pb2.SnapshotDelta]:
        lacking = [one for one in self.resources.values() if held.get(one.name) != one.version]
        gone = [name for name in held if name not in self.resources]
        chunks = [lacking[at : at + self._chunk] for at in range(0, len(lacking), self._chunk)] or [[]]
        deltas = [self._delta(chunk, ()) for chunk in chunks]
        deltas[-1] = self._delta(chunks[-1], gone, complete=self.completes)
        return deltas

    def _delta(
        self, upserts: Sequence[snapshot_pb2.Resource], removed: Sequence[str], *, complete: bool = False
    ) -> snapshot_pb2.SnapshotDelta:
        nonce = str(next(self._nonces))
        return snapshot_pb2.SnapshotDelta(nonce=nonce, resources=upserts, removed=removed, complete=complete)
