"""Waits for what becomes true, instead of sleeping and hoping. Called by tests of anything asynchronous."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

DEADLINE_SECONDS = 30.0


async def eventually(holds: Callable[[], object], *, seconds: float = DEADLINE_SECONDS, claim: str = "") -> None:
    """Returns once `holds()` is truthy; fails the test when it is not within `seconds`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not holds():
        assert loop.time() < deadline, f"not within {seconds} s: {claim or holds}"
        await asyncio.sleep(0.002)


@asynccontextmanager
async def meanwhile(work: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    """What goes on until it is cancelled goes on so long."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
