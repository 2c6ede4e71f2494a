"""Equal values as one: what ten thousand Routes say alike is held once.

In: a frozen value. Out: the one that is held already, if an equal one was met not long ago. Called by translate and
emit for the parts of what they make that are mostly alike.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache
from typing import TypeVar, cast

V = TypeVar("V", bound=Hashable)

_RECENT = 8192


def shared(value: V) -> V:
    """An equal value of the same type."""
    return cast("V", _shared(value))


@lru_cache(maxsize=_RECENT, typed=True)
def _shared(value: Hashable) -> Hashable:
    return value
