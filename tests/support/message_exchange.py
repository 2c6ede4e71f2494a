"""EntryPoint's way of messages, in this process, over one rule. In: the target's address. Called by tests."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastforward_entrypoint.counters import InProcessCounterStore
from fastforward_entrypoint.messages.exchange import Callees, MessageExchange
from fastforward_entrypoint.messages.once import InProcessOnceStore
from fastforward_entrypoint.messages.stages import GrpcStages
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
    address: str,
    policy: Policy = POLICY,
    *,
    message: snapshot_pb2.MessageDispatch | None = None,
    holder: Holder | None = None,
    stages: Mapping[str, str] | None = None,
) -> AsyncGenerator[MessageExchange]:
    """The exchange; `message` is the rule's destination, `stages` are addresses of Upstreams that run stages."""
    snapshot = orders() if message is None else orders(message=message)
    find = {TARGET: address, **(stages or {})}.get
    targets, elsewhere = GrpcTargets(lambda name: find(name, ""), policy), GrpcStages(lambda name: find(name, ""))
    yield MessageExchange(
        holder or Holder(snapshot),
        InProcessCounterStore(),
        InProcessOnceStore(),
        Callees(targets, elsewhere),
        SEAL,
        clock=lambda: float(NOW),
    )
    await targets.lines.close()
    await elsewhere.lines.close()
