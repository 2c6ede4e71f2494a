"""Why calls are not answered, told to operators: clients are told no more than that somebody can't be reached.

In: whom was called, and what was raised. Out: lines of the log, one for each cause in QUIET_S seconds however many
messages it ends. Called by whoever turns such a failure into the end of a message.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import grpc.aio
import structlog

log = structlog.get_logger(__name__)

QUIET_S = 10.0
_KEPT = 1000


class Causes:
    """Remembers what it has told of late; `clock` tells seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: dict[tuple[str, str], float] = {}

    def tell(self, callee: str, error: Exception) -> None:
        """Tells it, unless it has just been told."""
        cause, why = _name(error)
        now = self._clock()
        last = self._told.get((callee, cause))
        if last is not None and now < last + QUIET_S:
            return
        if len(self._told) >= _KEPT:
            self._told = {key: when for key, when in self._told.items() if now < when + QUIET_S}
        self._told[callee, cause] = now
        log.warning("no answer", callee=callee, cause=cause, why=why)


def _name(error: Exception) -> tuple[str, str]:
    """What kind it is, and its words."""
    if isinstance(error, grpc.aio.AioRpcError):
        return error.code().name, error.details() or ""
    if isinstance(error, KeyError):
        return "unknown", f"there is no upstream {error.args[0]}"
    return type(error).__name__.removesuffix("Error"), str(error)


CAUSES = Causes()
"""Of this process."""
