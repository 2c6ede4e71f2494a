"""Two things at once, of which the first decides.

In: two awaitables. Out: which was done first; the other has been cancelled by then. Called by supervisor/up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def wins(work: Coroutine[Any, Any, object], rival: Coroutine[Any, Any, object]) -> bool:
    """Whether `work` was done before `rival`. Raises what the first of them raised."""
    tasks = asyncio.ensure_future(work), asyncio.ensure_future(rival)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        loser = [task for task in tasks if not task.done()]
        for task in loser:
            task.cancel()
        await asyncio.gather(*loser, return_exceptions=True)
    for task in tasks:
        if task not in loser:
            task.result()
    return tasks[0] not in loser
