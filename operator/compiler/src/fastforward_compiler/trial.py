"""What would be made, were some inputs different; the cells themselves stay as they are.

In: settled Cells, other values for inputs. Out: any value as it would then be. Called by compile to judge an object
that is not there yet. Why not change the cells and change them back: they serve traffic, and whatever goes wrong here
must not reach it. Rules read a Trial as they read Cells; what it makes is kept beside, and forgotten with it.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator
from typing import Any, TypeVar

from .cells import Cells, Gift, Key, Rule, Source, counts

V = TypeVar("V")

MOST_COUNTED = 50
"""How many objects are translated again."""
MOST_MADE = 2000
"""How many cells are made again."""

_NO_GIFTS: frozenset[Gift] = frozenset()


class Trial:
    """One question. `goal` is the cell that is asked for; of its rule, no other is made again.

    `rules` are those that lie between the inputs and the goal: cells of others are left as they are.
    """

    def __init__(self, base: Cells, goal: Key, rules: Collection[Rule[Any]]) -> None:
        self._base = base
        self._goal = goal
        self._rules = rules
        self.complete = True
        """False when there was more to make again than a question may cost: then the rest was left as it is."""
        self._values: dict[Key, Any] = {}
        """Of inputs, indexes and cells that differ, or may."""
        self._reads: dict[Key, set[Key]] = {}
        """Of each cell that was made here."""
        self._readers: dict[Key, set[Key]] = {}
        self._gifts: dict[Key, frozenset[Gift]] = {}
        self._lost: set[Key] = set()
        """Cells that are there and that nobody would read."""
        self._dirty: dict[int, dict[Key, None]] = {}
        self._frame: set[Key] = set()
        self._counted = 0

    def read(self, source: Source[V], *arguments: Hashable) -> V:
        """As Cells do it."""
        key = (source, *arguments)
        self._frame.add(key)
        unmade = source.made and self._base.find(key) is None
        if key in self._lost or (unmade and key not in self._values):
            self._lost.discard(key)
            self._make(key)
        return self._value(key)

    def put(self, source: Source[V], *arguments: Hashable, value: V) -> None:
        """Set an input."""
        key = (source, *arguments)
        if self._value(key) != value:
            self._values[key] = value
            self._mark_readers(key)

    def give(self, old: frozenset[Gift], new: frozenset[Gift]) -> None:
        """Replace what one giver puts into indexes."""
        for index, member in new - old:
            self._add(index, member)
        for index, member in old - new:
            self._remove(index, member)

    def want(self, key: Key) -> None:
        """Call a root cell into being, if it is not there."""
        if key not in self._values and self._base.find(key) is None:
            self._mark(key)

    def settle(self) -> None:
        """Make again what must be."""
        while True:
            for key in self._waiting():
                self._remake(key)
            if not self._forget():
                break

    def _waiting(self) -> Iterator[Key]:
        """Lowest level first, as long as there is any; what is given meanwhile may come in below."""
        while self._dirty:
            level = min(self._dirty)
            key, _ = self._dirty[level].popitem()
            makes = self._may_make(key)
            if not (makes and self._dirty[level]):
                # A level is one rule's: when one cell of it may not be made, the others may not either.
                del self._dirty[level]
            if makes:
                yield key

    def _may_make(self, key: Key) -> bool:
        if key == self._goal:
            return True
        within = len(self._reads) < MOST_MADE and not (key[0].counted and self._counted >= MOST_COUNTED)
        self.complete = self.complete and within
        return within

    def _remake(self, key: Key) -> None:
        old = self._value(key)
        self._make(key)
        if self._values[key] != old:
            self._mark_readers(key)

    def _make(self, key: Key) -> None:
        rule, arguments = key[0], key[1:]
        outer, self._frame = self._frame, set()
        try:
            value = rule.make(self, *arguments)
            reads = self._frame
        finally:
            self._frame = outer
        self._counted += rule.counted
        self._values[key], self._reads[key] = value, reads
        for source in reads:
            self._readers.setdefault(source, set()).add(key)
        self._replace_gifts(key, rule.gifts(value, *arguments))

    def _replace_gifts(self, key: Key, gifts: frozenset[Gift]) -> None:
        cell = self._base.find(key)
        old = self._gifts.get(key, cell.gifts if cell is not None else _NO_GIFTS)
        if gifts != old:
            self._gifts[key] = gifts
            self.give(old, gifts)

    def _forget(self) -> bool:
        """Withdraw what cells gave that nobody reads any more; whether there were any."""
        lost = {key for key in self._given_up() if not self._is_read(key)}
        for key in lost:
            self._lost.add(key)
            self._reads[key] = set()
            self._replace_gifts(key, _NO_GIFTS)
        return bool(lost)

    def _given_up(self) -> set[Key]:
        """Cells that one made here has read before, but does no more."""
        found: set[Key] = set()
        for key, reads in self._reads.items():
            cell = self._base.find(key)
            before = cell.reads if cell is not None else ()
            found.update(each.key for each in before if each.key[0].made and each.key not in reads)
        return {key for key in found if not key[0].root} - self._lost

    def _is_read(self, key: Key) -> bool:
        return any(self._still_reads(reader, key) for reader in self._all_readers(key))

    def _still_reads(self, reader: Key, key: Key) -> bool:
        reads = self._reads.get(reader)
        return reader[0] in self._rules if reads is None else key in reads

    def _all_readers(self, key: Key) -> set[Key]:
        cell = self._base.find(key)
        known = {each.key for each in cell.readers} if cell is not None else set()
        return known | self._readers.get(key, set())

    def _value(self, key: Key) -> Any:  # noqa: ANN401 - of whatever source
        if key in self._values:
            return self._values[key]
        cell = self._base.find(key)
        return key[0].unpacked(cell.value) if cell is not None else key[0].absent

    def _mark(self, key: Key) -> None:
        if key[0] in self._rules and (key[0] is not self._goal[0] or key == self._goal):
            self._dirty.setdefault(self._base.level(key[0]), {})[key] = None

    def _mark_readers(self, key: Key) -> None:
        for reader in self._all_readers(key):
            self._mark(reader)

    def _index(self, key: Key) -> dict[Hashable, int]:
        """A copy of our own of an index."""
        if key not in self._values:
            self._values[key] = dict(counts(self._value(key)))
        return self._values[key]

    def _add(self, key: Key, member: Hashable) -> None:
        members = self._index(key)
        if not members:
            for root in self._base.wanted(key):
                self.want(root)
        count = members.get(member, 0)
        members[member] = count + 1
        if not count:
            self._mark_readers(key)

    def _remove(self, key: Key, member: Hashable) -> None:
        members = self._index(key)
        if members[member] > 1:
            members[member] -= 1
            return
        del members[member]
        self._mark_readers(key)
