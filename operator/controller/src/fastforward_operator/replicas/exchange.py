"""Between the xDS server's thread and the main event loop: ledgers of this and other replicas, in and out.

In: updates of the own ledger and deltas of other replicas, from the server's thread. Out: what both mean for the status
board, and what the leader is told. Called by bootstrap.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from fastforward.replica.v1 import replica_pb2
from fastforward_operator.telemetry import Metrics
from fastforward_operator.xds.ledger import LedgerUpdate
from fastforward_operator.xds.store import Publication

from .merged import MergedLedger
from .teller import Teller


@dataclass(frozen=True, slots=True)
class Exchange:
    """`teller` is there where several replicas may be."""

    loop: asyncio.AbstractEventLoop
    ledgers: MergedLedger
    teller: Teller | None
    metrics: Metrics

    def notify(self, update: LedgerUpdate) -> None:
        """The own ledger changed; from any thread."""
        self.metrics.refusals.inc(sum(len(state.refused) for state in update.keys.values()))
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._observe, update)

    def hear(self, stream: int, replica: str, delta: replica_pb2.LedgerDelta | None) -> None:
        """Another replica told something, or its stream ended; from any thread."""
        if self.loop.is_closed():
            return
        if delta is None:
            self.loop.call_soon_threadsafe(self.ledgers.forget, stream)
        else:
            self.loop.call_soon_threadsafe(self.ledgers.observe_remote, stream, replica, delta)

    def published(self, publication: Publication) -> None:
        """A step is on its way to the nodes."""
        self.ledgers.observe_removed(publication.removed)
        if self.teller is not None:
            self.teller.observe_removed(publication.removed)

    def _observe(self, update: LedgerUpdate) -> None:
        self.ledgers.observe_own(update)
        if self.teller is not None:
            self.teller.observe(update)
