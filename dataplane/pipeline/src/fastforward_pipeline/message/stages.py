"""The order of the stages: eight in, five out. Read by EntryPoint, the documentation and the tests.

Dispatch, the eighth, is EntryPoint's: it calls others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fastforward.message.v1 import envelope_pb2

from . import inbound, outbound
from .passage import Outcome, Passage


@dataclass(frozen=True, slots=True)
class Inbound:
    """A stage of messages on their way in."""

    name: str
    process: Callable[[Passage], Outcome]


@dataclass(frozen=True, slots=True)
class Outbound:
    """A stage of replies."""

    name: str
    process: Callable[[Passage, envelope_pb2.Envelope], Outcome]


IN, OUT = "in", "out"
DISPATCH = "dispatch"
INBOUND = (
    Inbound("ingress", inbound.enter),
    Inbound("admission", inbound.admit),
    Inbound("authentication", inbound.authenticate),
    Inbound("normalization", inbound.normalize),
    Inbound("authorization", inbound.authorize),
    Inbound("routing", inbound.route),
    Inbound("tracking", inbound.track),
)
OUTBOUND = (
    Outbound("tracking", outbound.track),
    Outbound("authorization", outbound.authorize),
    Outbound("normalization", outbound.normalize),
    Outbound("resolution", outbound.resolve),
    Outbound("egress", outbound.leave),
)
