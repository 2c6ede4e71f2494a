"""Which objects changed lately, so that whoever asks every two seconds is told of those alone.

In: statuses that change. Out: a mark for how things stand now, and the objects since a mark. Called by api. Nothing is
kept for those who ask; a mark of another process, or one that is too old, leads to everything.
"""

from __future__ import annotations

import secrets
import zlib
from collections import deque
from collections.abc import Mapping
from itertools import islice

from fastforward_compiler.problem import ObjectRef

_MOST = 20_000
_LONGEST = 18
"""Digits of a number in a mark."""


class Recent:
    """One an API. `envoys` are the proxies that count, by fleet: another number of them is told of every object."""

    def __init__(self, most: int = _MOST) -> None:
        self._process = secrets.token_hex(4)
        self._changed: deque[ObjectRef] = deque(maxlen=most)
        self._count = 0

    def note(self, ref: ObjectRef, _: object) -> None:
        """A listener of the status board."""
        self._changed.append(ref)
        self._count += 1

    def mark(self, envoys: Mapping[str, int]) -> str:
        """How things stand now."""
        return f"{self._world(envoys)}.{self._count}"

    def since(self, mark: str, envoys: Mapping[str, int]) -> frozenset[ObjectRef] | None:
        """What changed or went since a mark; None when that is not known."""
        world, _, number = mark.rpartition(".")
        if world != self._world(envoys) or not (number.isascii() and number.isdecimal() and len(number) <= _LONGEST):
            return None
        missed = self._count - int(number)
        if not 0 <= missed <= len(self._changed):
            return None
        return frozenset(islice(reversed(self._changed), missed))

    def _world(self, envoys: Mapping[str, int]) -> str:
        return f"{self._process}.{zlib.crc32(repr(sorted(envoys.items())).encode()):08x}"
