"""Connections that stay only as long as they would be let in again.

In: handshakes, and what judges them; then each change of what they are judged by. Out: connections; those that have
lost their standing are closed with 1008, though they are silent. Called by whoever hands requests to adapters, and by
bootstrap.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import structlog
from websockets.frames import CloseCode

from fastforward_kit.http import Occupant, Request, Response, Takeover
from fastforward_kit.websocket.socket import WebSocket

log = structlog.get_logger(__name__)

LOOK_S = 0.5
"""How often it looks whether anything has changed, or ended."""
_TURN_S = 0.002
"""Processor time that judging takes at once; then others have as much."""


class Stands(NamedTuple):
    """A connection may be."""

    who: object
    """Whose it is: equal for the same caller."""
    until: float
    """Unix time at which to ask again; infinite for never."""


class Refused(NamedTuple):
    """It may not."""

    answer: Response
    why: str
    """For the log."""


class Admitted(NamedTuple):
    """A handshake that may be."""

    asked: Request
    """As adapters shall see it."""
    stands: Stands
    again: Callable[[], Stands | Refused]
    """Judges it as if it came now."""


@dataclass(slots=True)
class _Held:
    stands: Stands
    again: Callable[[], Stands | Refused]


class Guard:
    """`clock` tells Unix time."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._held: dict[WebSocket, _Held] = {}
        self.closed: defaultdict[str, int] = defaultdict(int)
        """How many have lost their standing, by reason."""

    def __len__(self) -> int:
        """Connections that there are."""
        return len(self._held)

    def over(
        self, admitted: Admitted, answered: Response | asyncio.Future[Response]
    ) -> Response | asyncio.Future[Response]:
        """Returns the answer to a handshake, such that the connection is watched if one comes of it."""
        if not isinstance(answered, Takeover):
            return answered
        held = _Held(admitted.stands, admitted.again)
        return replace(answered, protocol=partial(self._enter, held, answered.protocol))

    def _enter(self, held: _Held, make: Callable[[], Occupant]) -> Occupant:
        occupant = make()
        if isinstance(occupant, WebSocket):
            self._held[occupant] = held
            occupant.when_lost(partial(self._held.pop, occupant, None))
        return occupant

    async def run(self, changes: Callable[[], int]) -> None:
        """Until cancelled. `changes` tells how often what connections are judged by has changed."""
        seen = changes()
        while True:
            await asyncio.sleep(LOOK_S)
            found, seen = seen, changes()
            now = self._clock()
            changed = seen != found
            await self._look([each for each in self._held.items() if changed or each[1].stands.until <= now])

    async def _look(self, connections: list[tuple[WebSocket, _Held]]) -> None:
        """Judges them again, a few at a time, so that nobody waits for it."""
        began = time.thread_time()
        for socket, held in connections:
            if socket in self._held:
                self._judge(socket, held)
            taken = time.thread_time() - began
            if taken > _TURN_S:
                await asyncio.sleep(taken)
                began = time.thread_time()

    def _judge(self, socket: WebSocket, held: _Held) -> None:
        try:
            outcome = held.again()
        except Exception:  # one connection must not end the others, and nobody stays unjudged
            log.exception("connection can't be judged")
            self._close(socket, "fault")
            return
        if isinstance(outcome, Refused):
            self._close(socket, outcome.why)
        elif outcome.who != held.stands.who:
            self._close(socket, "somebody else")
        else:
            held.stands = outcome

    def _close(self, socket: WebSocket, why: str) -> None:
        self.closed[why] += 1
        log.info("connection closed", why=why)
        self._held.pop(socket, None)
        socket.end(CloseCode.POLICY_VIOLATION, "not allowed any more")
