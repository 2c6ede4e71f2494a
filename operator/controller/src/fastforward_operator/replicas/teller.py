"""Tells the replica that leads what the proxies here acknowledged, over mutual TLS.

In: who leads and where, updates of the own ledger. Out: a stream of LedgerDeltas. Called by bootstrap, in the main
event loop. When another replica leads, that one is told everything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import grpc
import structlog

from fastforward.replica.v1 import replica_pb2, replica_pb2_grpc
from fastforward_operator.publication import Publications
from fastforward_operator.xds.identity import TlsMaterial
from fastforward_operator.xds.ledger import KeyState, LedgerUpdate
from fastforward_operator.xds.store import Key

_log = structlog.get_logger(__name__)

LOOK_S = 0.3
"""How often it is looked who leads."""
CONNECT_S = 5.0
PART = 2000
"""Keys in one message: some hundred kilobytes."""
OPTIONS = (
    ("grpc.keepalive_time_ms", 2_000),
    ("grpc.keepalive_timeout_ms", 2_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
)


@dataclass(slots=True)
class Teller:
    """One a process."""

    leader: Callable[[], str]
    """`HOST:PORT` of the replica that leads; empty when that is this one, or nobody knows."""
    server_name: str
    """The DNS name in every replica's certificate."""
    material: Callable[[], TlsMaterial]
    publications: Publications
    unsettled: Mapping[Key, KeyState]
    """What is not settled here, the status board's: a resource is in it from its publication on."""
    told_to: str = ""
    """Who is told; empty for nobody."""
    _nodes: replica_pb2.Nodes = field(default_factory=replica_pb2.Nodes)
    _queue: asyncio.Queue[replica_pb2.LedgerDelta] | None = None

    def observe(self, update: LedgerUpdate) -> None:
        """What changed in the own ledger; the board has seen it already."""
        nodes = replica_pb2.Nodes(envoys=update.envoys, decisions=update.decisions)
        changed, self._nodes = nodes != self._nodes, nodes
        if self._queue is None:
            return
        revisions = self.publications.revisions
        # What was published since then is spoken of by a later update.
        keys = [key for key, state in update.keys.items() if revisions.get(key, state.revision) == state.revision]
        for delta in _parts([self._key(key) for key in keys]):
            self._queue.put_nowait(delta)
        if changed:
            self._queue.put_nowait(replica_pb2.LedgerDelta(nodes=nodes))

    def observe_removed(self, removed: Iterable[Key]) -> None:
        """What is taken away is not spoken of any more."""
        if self._queue is not None:
            keys = [replica_pb2.Key(type_url=key.type_url, name=key.name, fleet=key.fleet) for key in removed]
            for delta in _parts(keys):
                self._queue.put_nowait(delta)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            leader = self.leader()
            if leader:
                try:
                    await self._tell(leader)
                except (grpc.aio.AioRpcError, TimeoutError, OSError, ValueError, asyncio.InvalidStateError) as error:
                    said = error.details() if isinstance(error, grpc.aio.AioRpcError) else str(error)
                    _log.warning("leader is not told", leader=leader, why=said or type(error).__name__)
                finally:
                    self.told_to, self._queue = "", None
            await asyncio.sleep(LOOK_S)

    async def _tell(self, leader: str) -> None:
        """Until somebody else leads. Raises what gRPC raises."""
        material = self.material()
        credentials = grpc.ssl_channel_credentials(material.authorities, material.key, material.chain)
        options = (*OPTIONS, ("grpc.ssl_target_name_override", self.server_name))
        async with grpc.aio.secure_channel(leader, credentials, options=options) as channel:
            stream = replica_pb2_grpc.ReplicaServiceStub(channel).StreamLedger()
            self._queue = queue = asyncio.Queue()
            async with asyncio.timeout(CONNECT_S):
                for delta in self._everything():
                    await stream.write(delta)
                if not isinstance(await stream.read(), replica_pb2.LedgerHeard):
                    raise OSError("the leader does not listen")
            self.told_to = leader
            _log.info("leader is told", leader=leader)
            ended = asyncio.ensure_future(stream.read())
            try:
                while not ended.done() and self.leader() == leader:
                    try:
                        async with asyncio.timeout(LOOK_S):
                            delta = await queue.get()
                    except TimeoutError:
                        continue
                    await stream.write(delta)
            finally:
                ended.cancel()

    def _everything(self) -> Iterator[replica_pb2.LedgerDelta]:
        yield from _parts([self._key(key) for key in list(self.publications.versions)])
        yield replica_pb2.LedgerDelta(nodes=self._nodes, complete=True)

    def _key(self, key: Key) -> replica_pb2.Key:
        state = self.unsettled.get(key)
        told = replica_pb2.Key(type_url=key.type_url, name=key.name, fleet=key.fleet)
        told.version = self.publications.versions.get(key, "")
        if state is not None:
            told.waiting.extend(name or "a proxy" for name in state.waiting)
            told.refused.extend(replica_pb2.Refusal(node=node, words=words) for node, words in state.refused)
        return told


def _parts(keys: list[replica_pb2.Key]) -> Iterator[replica_pb2.LedgerDelta]:
    for start in range(0, len(keys), PART):
        yield replica_pb2.LedgerDelta(keys=keys[start : start + PART])
