"""Follows the operator's snapshot: applies and acknowledges each delta, and keeps the last good state without it.

In: the stream of SnapshotService. Out: a holder whose `current` is what was last acknowledged. A workload runs `run`
for its whole life; the operator may be away for hours.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Generic

import grpc
import structlog
from grpc.aio import AioRpcError
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from fastforward.snapshot.v1 import snapshot_pb2, snapshot_pb2_grpc
from fastforward_kit.backoff import Backoff
from fastforward_kit.snapshot.holder import S, SnapshotHolder
from fastforward_kit.tls import NodeTls

log = structlog.get_logger(__name__)

CONNECT_SECONDS = 5.0
MAX_ERROR_CHARACTERS = 1000
CHANNEL_OPTIONS = (
    # A frozen or vanished operator is noticed within fifteen seconds, also when nothing is sent.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # The operator is trusted and bounds its deltas; the versions held by a large fleet exceed the default of 4 MB.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # Waiting between attempts is ours: a channel of its own connects at once when it is asked to.
    ("grpc.use_local_subchannel_pool", 1),
)


@dataclass(frozen=True, slots=True)
class Target:
    """Where the operator is (`HOST:PORT` or `unix:PATH`), and how it and we prove who we are."""

    address: str
    tls: NodeTls | None = None

    def channel(self) -> grpc.aio.Channel:
        """A channel of its own, with the certificate that is in force."""
        if self.tls is None:
            return grpc.aio.insecure_channel(self.address, options=CHANNEL_OPTIONS)
        return grpc.aio.secure_channel(self.address, self.tls.channel(), options=CHANNEL_OPTIONS)


class SnapshotClient(Generic[S]):
    """`usable` is called, maybe more than once, when what is held may be served.

    `serving` returns once it is: before that no complete state is acknowledged, because the operator then sends
    requests here.
    """

    def __init__(
        self,
        holder: SnapshotHolder[S],
        *,
        target: Target,
        node: str,
        usable: Callable[[], None],
        serving: Callable[[], Awaitable[object]],
        stale_start_seconds: float = 0.0,
    ) -> None:
        self._holder = holder
        self._target = target
        self._node = node
        self._usable = usable
        self._serving = serving
        self._stale_start_seconds = stale_start_seconds
        self.connected = False
        self._away = False
        self.acknowledged = 0
        self.refused = 0
        self.changed_at = 0.0
        """Unix time of the last delta applied."""

    async def run(self) -> None:
        """Follows the operator until cancelled; comes back after every failure."""
        backoff = Backoff(first=0.05, longest=5.0)
        kept = asyncio.get_running_loop().call_later(self._stale_start_seconds, self._serve_kept)
        try:
            while True:
                why = await self._follow_until_lost(backoff)
                # Said once an outage: the operator may be away for hours.
                say = log.debug if self._away else log.warning
                say("operator away", target=self._target.address, why=why)
                self._away = True
                self._serve_kept()
                await asyncio.sleep(backoff.next_wait())
        finally:
            kept.cancel()

    def _serve_kept(self) -> None:
        """A restart without the operator serves what was kept; with it, only what the operator confirms."""
        if self._holder.complete:
            self._usable()

    async def _follow_until_lost(self, backoff: Backoff) -> str:
        try:
            await self._follow(backoff)
        except AioRpcError as error:
            return f"{error.code().name}: {error.details()}"
        except (TimeoutError, OSError, asyncio.InvalidStateError) as error:
            return repr(error)
        except Exception as error:  # ours: the last good state stays, and the operator is asked again
            log.exception("snapshot client failed")
            return repr(error)
        finally:
            self.connected = False
        return "the operator ended the stream"

    async def _follow(self, backoff: Backoff) -> None:
        async with self._target.channel() as channel:
            stream = snapshot_pb2_grpc.SnapshotServiceStub(channel).StreamSnapshot()
            async with asyncio.timeout(CONNECT_SECONDS):
                await stream.write(snapshot_pb2.SnapshotRequest(node=self._node, held=self._holder.versions()))
            while True:
                delta = await stream.read()
                if not isinstance(delta, snapshot_pb2.SnapshotDelta):  # EOF
                    return
                self.connected, self._away = True, False
                error = await self._apply(delta)
                if delta.complete and not error:
                    self._completed()
                    backoff.reset()
                    await self._serving()
                await stream.write(snapshot_pb2.SnapshotRequest(nonce=delta.nonce, error=error))

    def _completed(self) -> None:
        self._holder.complete = True
        log.info("snapshot complete", resources=len(self._holder.held), digest=self._holder.digest)
        self._usable()

    async def _apply(self, delta: snapshot_pb2.SnapshotDelta) -> str:
        """Returns what is wrong with the delta; the empty string once requests are decided by it."""
        try:
            await self._holder.apply(delta)
        except Exception as error:  # whatever is wrong with a delta, the last good state stays
            self.refused += 1
            log.exception("snapshot refused", nonce=delta.nonce)
            return f"{type(error).__name__}: {error}"[:MAX_ERROR_CHARACTERS]
        self.acknowledged += 1
        self.changed_at = time.time()
        return ""


class SnapshotMetrics(Collector):
    """What is held and whether the operator is there."""

    def __init__(self, holder: SnapshotHolder[S], client: SnapshotClient[S]) -> None:
        self._holder = holder
        self._client = client

    def collect(self) -> Iterable[Metric]:
        client, holder = self._client, self._holder
        yield InfoMetricFamily(
            "fastforward_snapshot", "Digest of the resources held; equal where they are.", {"digest": holder.digest}
        )
        yield GaugeMetricFamily("fastforward_snapshot_resources", "Resources held.", len(holder.held))
        yield GaugeMetricFamily(
            "fastforward_snapshot_changed_seconds", "Unix time of the last change.", client.changed_at
        )
        yield GaugeMetricFamily("fastforward_operator_connected", "1 while the stream is up.", int(client.connected))
        deltas = CounterMetricFamily("fastforward_snapshot_deltas", "Deltas by outcome.", labels=("outcome",))
        deltas.add_metric(("acknowledged",), client.acknowledged)
        deltas.add_metric(("refused",), client.refused)
        yield deltas
