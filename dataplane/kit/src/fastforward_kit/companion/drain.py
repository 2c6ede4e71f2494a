"""Has an Envoy drain when its pod ends: clients are asked to go elsewhere, and nobody's request is cut.

In: the console, how long it may take. Out: `done`. Called by the companion's main. For a while after a pod was told to
end, others still send to it: so Envoy goes on accepting, closes connections as their requests end, and is let go when
nothing has come for some time. It may never be let go for being idle at one moment: a client may be about to send.
"""

import asyncio
import time
from dataclasses import dataclass, field

import structlog

from fastforward_kit.companion.console import Console

log = structlog.get_logger(__name__)

LEAST_SECONDS = 5.0
"""Until when everybody has taken the pod out of the addresses that they send to."""
QUIET_SECONDS = 1.0
"""Without a request, or a byte of what is no HTTP, until nobody is thought to send any."""
EVERY_SECONDS = 0.2


@dataclass(slots=True)
class Drain:
    """One a process."""

    console: Console
    most_seconds: float
    least_seconds: float = LEAST_SECONDS
    begun: bool = False
    done: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Returns when Envoy may end."""
        self.begun = True
        started = quiet_since = time.monotonic()
        seen = 0
        try:
            await self.console.ask("/drain_listeners?graceful&skip_exit", method="POST")
            while time.monotonic() - started < self.most_seconds:
                await asyncio.sleep(EVERY_SECONDS)
                active, total = await self.console.traffic()
                now = time.monotonic()
                if active or total != seen:
                    seen, quiet_since = total, now
                if now - started >= self.least_seconds and now - quiet_since >= QUIET_SECONDS:
                    break
        except OSError as error:
            # It is gone already, or frozen: nothing can be waited for.
            log.warning("envoy does not drain", why=str(error) or type(error).__name__)
        log.info("drained", seconds=round(time.monotonic() - started, 1))
        self.done.set()
