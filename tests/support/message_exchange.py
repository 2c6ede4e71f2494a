"""EntryPoint's way of messages, in this process, over one rule. In: the target's address. Called by tests."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastforward_entrypoint.counters import InProcessCounterStore
from fastforward_entrypoint.messages.exchange import MessageExchange
from fastforward_entrypoint.messages.once import InProcessOnceStore
from fastforward_entrypoint.messages.targets import POLICY, GrpcTargets
from fastforward_pipeline import Snapshot
from fastforward_shield import Policy

from fastforward.snapshot.v1 import snapshot_pb2

from .decision_snapshots import NOW
from .messages import TARGET, new_seal, orders

SEAL = new_seal()


@dataclass
class Holder:
    """Where the snapshot is."""

    current: Snapshot


@asynccontextmanager
async def entrypoint(
    address: str, policy: Policy = POLICY, *, message: snapshot_pb2.MessageDispatch | None = None
) -> AsyncGenerator[MessageExchange]:
    """The exchange; `message` is the rule's destination."""
    snapshot = orders() if message is None else orders(message=message)
    targets = GrpcTargets({TARGET: address}.__getitem__, policy)
    yield MessageExchange(
        Holder(snapshot), InProcessCounterStore(), InProcessOnceStore(), targets, SEAL, clock=lambda: float(NOW)
    )
    await targets.close()
