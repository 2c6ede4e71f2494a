"""Values made from other values, and made again only when what they were made from changed.

In: inputs, set from outside, and rules that make one value by reading others. Out: after `settle`, which cells were
made again and what they held before. Called by compile, which owns the one instance, and by every module of translate
through `read`. Why it exists: reads are recorded as they happen, so that nobody maintains by hand who depends on whom,
and the cost of a change is the cost of what it touches. A value that comes out equal stops the change there.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Generic, TypeVar

V = TypeVar("V")
M = TypeVar("M", bound=Hashable)

Key = tuple[Any, ...]
"""(source, argument, ...): one cell."""
Gift = tuple[Key, Hashable]
"""(key of an index, member): a member that a value puts into an index."""

ABSENT: Any = object()
"""Held before by a cell that is new."""


class Source(Generic[V]):
    """What can be read: a family of cells, one for each tuple of arguments."""

    __slots__ = ("absent", "name")

    def __init__(self, name: str, absent: V) -> None:
        self.name = name
        self.absent = absent

    def __repr__(self) -> str:
        return f"<{self.name}>"


class Index(Source[Mapping[M, int]]):
    """Members, and how many givers each has."""

    __slots__ = ()

    def __init__(self, name: str) -> None:
        super().__init__(name, MappingProxyType({}))


class Rule(Source[V]):
    """A family of made cells. `make(cells, *arguments)` must depend on nothing but its arguments and what it reads.

    A root lives until it makes None; other cells live while somebody reads them. `gives` names what the value puts
    into indexes. Making a `counted` cell is what `Cells.counted` counts.
    """

    __slots__ = ("counted", "gives", "make", "root")

    def __init__(
        self,
        name: str,
        make: Callable[..., V],
        *,
        gives: Callable[..., Iterable[Gift]] | None = None,
        root: bool = False,
        counted: bool = False,
    ) -> None:
        super().__init__(name, ABSENT)
        self.make = make
        self.gives = gives
        self.root = root
        self.counted = counted


class Cells:
    """All cells. `order` lists every rule; a rule reads only rules above its own place.

    `wants` says, by index, which root cells a first member calls into being.
    """

    def __init__(
        self,
        order: Sequence[Rule[Any]],
        wants: Mapping[Index[Any], Callable[..., Iterable[Key]]] = MappingProxyType({}),
    ) -> None:
        self._wants = wants
        self._level = {rule: level for level, rule in enumerate(order)}
        self._values: dict[Key, Any] = {}
        self._reads: dict[Key, set[Key]] = {}
        self._readers: dict[Key, set[Key]] = {}
        self._gifts: dict[Key, frozenset[Gift]] = {}
        self._dirty: list[set[Key]] = [set() for _ in order]
        self._lowest = len(order)
        self._orphans: set[Key] = set()
        self._frame: set[Key] = set()
        self._before: dict[Key, Any] = {}
        self.counted = 0
        """Counted cells made since the last `settle`."""

    def read(self, source: Source[V], *arguments: Hashable) -> V:
        """The value of a cell; the cell that is being made now depends on it from here on."""
        key = (source, *arguments)
        self._frame.add(key)
        value = self._values.get(key, ABSENT)
        return self._missing(key) if value is ABSENT else value

    def peek(self, key: Key) -> Any:
        """The value of a cell, or ABSENT, without depending on it."""
        return self._values.get(key, ABSENT)

    def keys(self, source: Source[Any]) -> list[Key]:
        """Every cell of a source that holds a value: a scan, for tests and for whole Snapshots."""
        return [key for key in self._values if key[0] is source]

    def set(self, key: Key, value: object) -> None:
        """Set an input; ABSENT removes it."""
        if value is ABSENT:
            self._values.pop(key, None)
        else:
            self._values[key] = value
        self._mark_readers(key)

    def want(self, key: Key) -> None:
        """Call a root cell into being, if it is not there."""
        if key not in self._values:
            self._mark(key)

    def give(self, old: frozenset[Gift], new: frozenset[Gift]) -> None:
        """Replace what one giver puts into indexes."""
        for index, member in new - old:
            self._add(index, member)
        for index, member in old - new:
            self._remove(index, member)

    def settle(self) -> Mapping[Key, Any]:
        """Make again what must be. Returns the cells made again, removed or new, with what each held before."""
        while True:
            while (key := self._next()) is not None:
                self._remake(key)
            if not self._collect():
                break
        before, self._before = self._before, {}
        return before

    def _missing(self, key: Key) -> Any:
        source = key[0]
        if not isinstance(source, Rule):
            return source.absent
        self._before.setdefault(key, ABSENT)
        return self._make(key, source)

    def _next(self) -> Key | None:
        while self._lowest < len(self._dirty):
            if self._dirty[self._lowest]:
                return self._dirty[self._lowest].pop()
            self._lowest += 1
        return None

    def _remake(self, key: Key) -> None:
        old = self._values.get(key, ABSENT)
        self._before.setdefault(key, old)
        try:
            value = self._make(key, key[0])
        except BaseException:
            # A defect here must not lose the change: the next settle tries again.
            self._mark(key)
            raise
        if value is not old and value != old:
            self._mark_readers(key)

    def _make(self, key: Key, rule: Rule[Any]) -> Any:
        outer, self._frame = self._frame, set()
        try:
            value = rule.make(self, *key[1:])
            reads = self._frame
        finally:
            self._frame = outer
        self.counted += rule.counted
        self._values[key] = value
        self._link(key, reads)
        if rule.gives is not None:
            gifts = frozenset(rule.gives(value, *key[1:]))
            old = self._gifts.get(key, frozenset())
            if gifts != old:
                self._gifts[key] = gifts
                self.give(old, gifts)
        if value is None and rule.root:
            self._orphans.add(key)
        return value

    def _link(self, key: Key, reads: set[Key]) -> None:
        old = self._reads.get(key, frozenset())
        if reads == old:
            return
        self._reads[key] = reads
        for source in reads - old:
            readers = self._readers.get(source)
            if readers is None:
                self._readers[source] = {key}
            else:
                readers.add(key)
        for source in old - reads:
            self._unlink(source, key)

    def _unlink(self, source: Key, reader: Key) -> None:
        readers = self._readers[source]
        readers.discard(reader)
        if not readers:
            del self._readers[source]
            if isinstance(source[0], Rule):
                self._orphans.add(source)

    def _collect(self) -> bool:
        """Remove cells that nobody reads; whether there were any to look at."""
        if not self._orphans:
            return False
        while self._orphans:
            key = self._orphans.pop()
            value = self._values.get(key, ABSENT)
            if value is ABSENT or key in self._readers or (key[0].root and value is not None):
                continue
            self._before.setdefault(key, value)
            del self._values[key]
            self._dirty[self._level[key[0]]].discard(key)
            for source in self._reads.pop(key):
                self._unlink(source, key)
            self.give(self._gifts.pop(key, frozenset()), frozenset())
        return True

    def _mark(self, key: Key) -> None:
        level = self._level[key[0]]
        self._dirty[level].add(key)
        self._lowest = min(self._lowest, level)

    def _mark_readers(self, key: Key) -> None:
        for reader in self._readers.get(key, ()):
            self._mark(reader)

    def _add(self, index: Key, member: Hashable) -> None:
        members = self._values.get(index)
        if members is None:
            members = self._values[index] = {}
            wants = self._wants.get(index[0])
            for root in wants(*index[1:]) if wants is not None else ():
                self.want(root)
        count = members.get(member, 0)
        members[member] = count + 1
        if not count:
            self._mark_readers(index)

    def _remove(self, index: Key, member: Hashable) -> None:
        members = self._values[index]
        if members[member] > 1:
            members[member] -= 1
            return
        del members[member]
        if not members:
            del self._values[index]
        self._mark_readers(index)
