"""What leaves the proxies' shared filters last: requirements, keys, limits and lists that routes may still name.

In: Deltas. Out: the same without these removals, and the removals when their time has come. Called by reconcile, for
the proxies' emitter only. Why it exists: one filter holds them all, so taking one out is an update of that filter, and
an update goes to the proxies before the routes; a route that names a requirement that is not there answers 403, and one
that lets in a list's clients nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from fastforward_compiler import ir

_NOUNS = ("auths", "keysets", "limits", "addresslists")


@dataclass(slots=True)
class Retirement:
    """Names that are gone, each with the revision that removed it and the time from which on it may go."""

    grace_s: float
    _held: dict[str, dict[str, tuple[int, float]]] = field(default_factory=lambda: {noun: {} for noun in _NOUNS})

    def hold(self, delta: ir.Delta, revision: int, now: float) -> ir.Delta:
        """Keeps removals back; what is there again is kept no longer."""
        kept: dict[str, Any] = {}
        for noun, held in self._held.items():
            changes: ir.Changes[Any] = getattr(delta, noun)
            for value in changes.upserts:
                held.pop(value.name, None)
            held.update((name, (revision, now + self.grace_s)) for name in changes.removed)
            if changes.removed:
                kept[noun] = replace(changes, removed=())
        return replace(delta, **kept) if kept else delta

    def due(self, now: float, settled: Callable[[int], bool]) -> ir.Delta | None:
        """The removals that no proxy's routes can need any more."""
        gone: dict[str, Any] = {}
        for noun, held in self._held.items():
            names = tuple(name for name, (revision, due) in held.items() if due <= now and settled(revision))
            for name in names:
                del held[name]
            if names:
                gone[noun] = ir.Changes(removed=names)
        return ir.Delta(**gone) if gone else None
