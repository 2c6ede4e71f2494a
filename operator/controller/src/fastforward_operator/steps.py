"""Which objects wait for all that was published together with them, not only for what they became.

In: keys of a step, objects of kinds that other objects' resources depend on. Out: those that wait for nothing more.
Called by status.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from fastforward_compiler.problem import ObjectRef

from .xds.store import Key


@dataclass(slots=True)
class _Step:
    """What was published together with reports of objects that may have changed any of it."""

    keys: set[Key]
    """Not yet answered by all."""
    refs: set[ObjectRef]


@dataclass(slots=True)
class Steps:
    """Those of which something is still missing."""

    _open: list[_Step] = field(default_factory=list)

    def add(self, keys: Collection[Key], refs: set[ObjectRef]) -> None:
        """One more; nothing where either is empty."""
        if keys and refs:
            self._open.append(_Step(set(keys), refs))

    def strike(self, answered: Iterable[Key]) -> set[ObjectRef]:
        """Returns the objects of steps of which nothing is missing any more."""
        if not self._open:
            return set()
        keys = set(answered)
        for step in self._open:
            step.keys -= keys
        done = {ref for step in self._open if not step.keys for ref in step.refs}
        self._open = [step for step in self._open if step.keys]
        return done

    def hold(self, ref: ObjectRef) -> bool:
        """Whether something is missing of what was published with an object."""
        return any(ref in step.refs for step in self._open)
