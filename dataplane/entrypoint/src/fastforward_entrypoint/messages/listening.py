"""Events for as long as whoever listens might begin to: what is taken from a caller is taken from its listeners.

In: a listener, and the request that it began with. Out: its events; nothing that comes after the caller may not listen
any more. Called by exchange. Judged when an event is there, so a listener that hears nothing costs nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Self

from fastforward_pipeline import Reason, Refusal
from fastforward_pipeline.exchange import Exchange
from fastforward_pipeline.message import Failed, refuse
from fastforward_pipeline.standing import Standing as Stands
from fastforward_pipeline.standing import judge_standing

from fastforward.message.v1 import envelope_pb2
from fastforward_entrypoint.endpoint import Current

from .events import Listener, make_kind

_CHANGED = Refusal(reason=Reason.PASSWORD_WRONG, detail="the password has changed")
_OF_ANOTHER = Refusal(reason=Reason.TENANT_GUARD, detail="the caller is of another tenant by now")
_OTHER_EVENTS = Refusal(reason=Reason.NO_ROUTE, detail="the rule has no listeners for these events any more")


class Standing(AsyncIterator[envelope_pb2.Envelope]):
    """`clock` tells Unix time."""

    def __init__(
        self,
        listener: Listener,
        begun: envelope_pb2.Envelope,
        exchange: Exchange,
        snapshots: Current,
        clock: Callable[[], float],
    ) -> None:
        self.refused: Failed | None = None
        """Why it has ended, if because the caller may not listen any more."""
        self._listener = listener
        self._begun = begun
        # The stages take the credentials away from the message, and from nothing else.
        self._request, self._proofs = exchange.request, exchange.proofs
        self._snapshots = snapshots
        self._clock = clock
        self._judged = snapshots.current
        self._until = 0.0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> envelope_pb2.Envelope:
        event = await anext(self._listener)
        refusal = self._judge()
        if refusal is not None:
            self.refused = refuse(self._begun, refusal)
            self._listener.close()
            raise StopAsyncIteration
        return event

    async def aclose(self) -> None:
        """Ends it, as an asynchronous generator is ended."""
        self._listener.close()

    def _judge(self) -> Refusal | None:
        snapshot, now = self._snapshots.current, self._clock()
        if snapshot is self._judged and now < self._until:
            return None
        standing = judge_standing(snapshot, replace(self._request, now=now), self._proofs)
        if not isinstance(standing, Stands):
            return standing if isinstance(standing, Refusal) else _CHANGED
        if standing.tenant != self._begun.header.tenant:
            return _OF_ANOTHER
        plan = standing.plan
        kind = make_kind(plan.route, standing.edge_namespace, plan.wire.message.type, standing.tenant)
        if kind != self._listener.kind:
            return _OTHER_EVENTS
        self._judged, self._until = snapshot, standing.until
        return None
