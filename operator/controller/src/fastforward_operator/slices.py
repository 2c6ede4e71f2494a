"""Much work in slices, one each time round the event loop: nothing that comes meanwhile waits for all of it.

In: what is to be done with a slice, the items. Called by status. The first slice is done at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")

SLICE = 50


def in_slices(work: Callable[[tuple[T, ...]], None], items: Iterable[T]) -> None:
    """Do `work` with up to SLICE items at a time, in their order."""
    everything = tuple(items)
    _go_on(work, deque(everything[start : start + SLICE] for start in range(0, len(everything), SLICE)))


def _go_on(work: Callable[[tuple[T, ...]], None], slices: deque[tuple[T, ...]]) -> None:
    if slices:
        work(slices.popleft())
    if slices:
        asyncio.get_running_loop().call_soon(_go_on, work, slices)
