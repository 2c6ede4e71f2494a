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


DISPATCH = "dispatch"
INBOUND = (
    Inbound("ingress", inbound.ingress),
    Inbound("admission", inbound.admission),
    Inbound("authentication", inbound.authentication),
    Inbound("normalization", inbound.normalization),
    Inbound("authorization", inbound.authorization),
    Inbound("routing", inbound.routing),
    Inbound("tracking", inbound.tracking),
)
OUTBOUND = (
    Outbound("tracking", outbound.tracking),
    Outbound("authorization", outbound.authorization),
    Outbound("normalization", outbound.normalization),
    Outbound("resolution", outbound.resolution),
    Outbound("egress", outbound.egress),
)
