"""Objects by reference, kept small: resources as the text that they can be made from again.

In: changes of objects. Out: the same again. Called by providers for what they are about to tell, and by reconcile for
what is on its way and for what the world is made of, which nobody looks at unless a step fails. Why it exists: with
ten thousand routes their models were a fifth of the operator's memory, and were all there at once when it started.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping

import fastforward_crds as crds
from fastforward_compiler.problem import ObjectRef

Change = crds.Resource | crds.Invalid | None
"""None for an object that is gone."""


class Kept(MutableMapping[ObjectRef, Change]):
    """A mapping; each look at a resource makes it again."""

    __slots__ = ("packed",)

    def __init__(self, changes: Mapping[ObjectRef, Change] | None = None) -> None:
        self.packed: dict[ObjectRef, crds.Packed | crds.Invalid | None] = {}
        """As they are kept."""
        self.take_over(changes or {})

    def __getitem__(self, ref: ObjectRef) -> Change:
        value = self.packed[ref]
        return value.unpack() if isinstance(value, crds.Packed) else value

    def __setitem__(self, ref: ObjectRef, change: Change) -> None:
        self.packed[ref] = crds.pack(change) if isinstance(change, crds.Resource) else change

    def __delitem__(self, ref: ObjectRef) -> None:
        del self.packed[ref]

    def __iter__(self) -> Iterator[ObjectRef]:
        return iter(self.packed)

    def __len__(self) -> int:
        return len(self.packed)

    def __contains__(self, ref: object) -> bool:
        return ref in self.packed

    def some(self, refs: Iterable[ObjectRef]) -> Kept:
        """Those of these objects that are here."""
        part = Kept()
        part.packed = {ref: self.packed[ref] for ref in refs if ref in self.packed}
        return part

    def take_over(self, changes: Mapping[ObjectRef, Change]) -> None:
        """As update does, without making anything again."""
        if isinstance(changes, Kept):
            self.packed |= changes.packed
        else:
            self.update(changes)

    def merge(self, changes: Kept) -> None:
        """Take changes into what is there. An Invalid one leaves the last good version in its place."""
        for ref, change in changes.packed.items():
            if change is None:
                self.packed.pop(ref, None)
            elif isinstance(change, crds.Packed) or ref not in self.packed:
                self.packed[ref] = change

    def invalid(self) -> Iterator[tuple[ObjectRef, crds.Invalid | None]]:
        """Every object; with what is invalid of those that are."""
        for ref, change in self.packed.items():
            yield ref, change if isinstance(change, crds.Invalid) else None
