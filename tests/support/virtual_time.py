"""Runs coroutines in an event loop whose time jumps to the next timer: a test of a minute takes a millisecond.

Called by tests of Shield, properties among them, which the marker of looptime does not reach.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import looptime

Result = TypeVar("Result")


def run(work: Callable[[], Awaitable[Result]], limit_s: float = 3600.0) -> Result:
    """The result of `work`; fails when it takes longer than `limit_s` of virtual time."""

    async def bounded() -> Result:
        async with asyncio.timeout(limit_s):
            return await work()

    with asyncio.Runner(loop_factory=lambda: looptime.new_event_loop(start=0)) as runner:
        return runner.run(bounded())


def now() -> float:
    """Virtual seconds since the run began."""
    return asyncio.get_running_loop().time()
