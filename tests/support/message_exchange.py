"""EntryPoint's way of messages, in this process, over one rule. In: the target's address. Called by tests."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastforward_entrypoint.counters import InProcessCounterStore
from fastforward_entrypoint.messages.commands import Commands, NoCommands
from fastforward_entrypoint.messages.exchange import Callees, MessageExchange
from fastforward_entrypoint.messages.once import InProcessOnceStore
from fastforward_entrypoint.messages.stages import GrpcStages
from fastforward_entrypoint.messages.targets import POLICY, GrpcTargets
from fastforward_entrypoint.messages.watch import Watch
from fastforward_pipeline import Snapshot
from fastforward_pipeline.compiled.upstream import Upstream
from fastforward_shield import Policy

from fastforward.snapshot.v1 import snapshot_pb2

from .decision_snapshots import NOW
from .messages import TARGET, new_seal, orders

SEAL = new_seal()


@dataclass
class Holder:
    """Where the snapshot is."""

    current: Snapshot


def upstream_at(*addresses: str, name: str = TARGET, **said: Any) -> Upstream:  # noqa: ANN401 - handed on
    """An Upstream with these endpoints."""
    return Upstream(name=name, endpoints=tuple((each, 1) for each in addresses), **said)


def exchange_of(holder: Holder, callees: Callees) -> MessageExchange:
    """With stores of its own."""
    stores = InProcessCounterStore(), InProcessOnceStore()
    return MessageExchange(holder, *stores, callees, SEAL, clock=lambda: float(NOW))


@asynccontextmanager
async def entrypoint(  # noqa: PLR0913 - each test varies one of these
    address: str,
    policy: Policy = POLICY,
    *,
    message: snapshot_pb2.MessageDispatch | None = None,
    holder: Holder | None = None,
    others: Mapping[str, str] | None = None,
    watch: Watch | None = None,
    commands: Commands | None = None,
) -> AsyncGenerator[MessageExchange]:
    """The exchange; `message` is the rule's destination, `others` are addresses of more Upstreams: such as run stages,
    or take messages.
    """
    addresses = {TARGET: address, **(others or {})}
    snapshot = orders() if message is None else orders(message=message)
    known = {name: upstream_at(each, name=name) for name, each in addresses.items() if each}.get
    targets, elsewhere = GrpcTargets(known, policy), GrpcStages(known)
    callees = Callees(targets, elsewhere, watch=watch, commands=commands or NoCommands())
    yield exchange_of(holder or Holder(snapshot), callees)
    await targets.lines.close()
    await elsewhere.lines.close()
