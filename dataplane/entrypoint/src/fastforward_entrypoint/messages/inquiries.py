"""What people ask this process: what became of a message, and how the hops are.

In: inquiries that the operator passes on. Out: answers. Called by the kit's InspectionClient.
"""

from __future__ import annotations

from collections.abc import Iterable

from fastforward_shield import Hop
from fastforward_shield.hop import HopState

from fastforward.inspection.v1 import inspection_pb2

from .memory import Memory
from .way import Record


class Inquiries:
    """`hops` is looked at again for each inquiry, so it may grow."""

    def __init__(self, memory: Memory, hops: Iterable[Hop]) -> None:
        self._memory = memory
        self._hops = hops

    def answer(self, inquiry: inspection_pb2.Inquiry) -> inspection_pb2.Answer:
        """Returns what there is to say; nothing to what is not understood."""
        match inquiry.WhichOneof("about"):
            case "id":
                return inspection_pb2.Answer(ways=map(_way, self._memory.find(inquiry.id)))
            case "hops":
                return inspection_pb2.Answer(hops=[_hop(hop.state()) for hop in self._hops])
            case _:
                return inspection_pb2.Answer()


def _way(record: Record) -> inspection_pb2.Way:
    made = inspection_pb2.Way(
        id=record.id,
        type=record.type,
        tenant=record.tenant,
        protocol=record.protocol,
        method=record.method,
        edge=record.edge,
        route=record.route,
        rule=record.rule,
        delivery=record.delivery,
        destinations=record.destinations,
        request_id=record.request_id,
        trace_id=record.trace_id,
        ms=record.took_s * 1e3,
        verdict=record.verdict,
        reason=record.reason,
        object=record.object,
        detail=record.detail,
        steps=[
            inspection_pb2.Step(
                direction=step.direction,
                stage=step.stage,
                elsewhere=step.elsewhere,
                at_ms=round(step.at_s * 1e3, 4),
                ms=round(step.took_s * 1e3, 4),
            )
            for step in record.steps()
        ],
    )
    made.began.FromNanoseconds(record.began_ns)
    return made


def _hop(state: HopState) -> inspection_pb2.Hop:
    counts = state.counts
    return inspection_pb2.Hop(
        name=state.name,
        note=state.note,
        in_flight=state.in_flight,
        waiting=state.waiting,
        limit=state.limit,
        breaker=state.breaker or "",
        calls=counts.calls,
        failures=counts.failures,
        refused=counts.saturated + counts.short_circuited,
        retries=counts.retries,
    )
