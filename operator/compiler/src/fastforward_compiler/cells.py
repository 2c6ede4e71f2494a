"""Values made from other values, and made again only when what they were made from changed.

In: inputs, set from outside, and rules that make one value by reading others. Out: after `settle`, which cells were
made again and what they held before. Called by compile, which owns the one instance, and by every module of translate
through `read`. Why it exists: reads are recorded as they happen, so that nobody maintains by hand who depends on whom,
and the cost of a change is the cost of what it touches. A value that comes out equal stops the change there.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Generic, TypeVar, cast

V = TypeVar("V")
M = TypeVar("M", bound=Hashable)

Key = tuple[Any, ...]
"""(source, argument, ...): one cell."""
Gift = tuple[Key, Hashable]
"""(key of an index, member): a member that a value puts into an index."""

_NO_GIFTS: frozenset[Gift] = frozenset()
_NOBODY: frozenset[object] = frozenset()


class Source(Generic[V]):
    """What can be read: a family of cells, one for each tuple of arguments."""

    __slots__ = ("absent", "name")

    def __init__(self, name: str, absent: V) -> None:
        self.name = name
        self.absent = absent

    def __repr__(self) -> str:
        return f"<{self.name}>"

    def packed(self, value: V) -> object:
        """What a value is kept as once everything is settled."""
        return value

    def unpacked(self, kept: Any) -> V:  # noqa: ANN401 - of this source's own making
        """The value again."""
        return kept


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
        super().__init__(name, cast("V", None))
        self.make = make
        self.gives = gives
        self.root = root
        self.counted = counted


class Cell:
    """One value, who was read to make it and who reads it. Compared by identity."""

    __slots__ = ("gifts", "key", "level", "readers", "reads", "value")

    def __init__(self, key: Key, value: object, level: int) -> None:
        self.key = key
        self.value: Any = value
        self.level = level
        self.reads: tuple[Cell, ...] = ()
        self.readers: Cell | set[Cell] | None = None
        """One reader is held without a set: most cells have no more."""
        self.gifts: frozenset[Gift] = _NO_GIFTS


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
        self._level: dict[Source[Any], int] = {rule: level for level, rule in enumerate(order)}
        self._cells: dict[Key, Cell] = {}
        # As dicts, because a set that once was large is slow to pop from.
        self._dirty: list[dict[Cell, None]] = [{} for _ in order]
        self._lowest = len(order)
        self._orphans: set[Cell] = set()
        self._frame: set[Cell] = set()
        self._before: dict[Cell, Any] = {}
        self._unpacked: dict[Cell, None] = {}
        """Inputs that were set since everything was settled."""
        self.counted = 0
        """Counted cells made so far; whoever reports it sets it back."""

    def read(self, source: Source[V], *arguments: Hashable) -> V:
        """The value of a cell; the cell that is being made now depends on it from here on."""
        key = (source, *arguments)
        cell = self._cells.get(key)
        if cell is None:
            cell = self._create(key)
            if cell.level >= 0:
                self._before[cell] = None
                self._make(cell)
        self._frame.add(cell)
        return cell.value if cell.level >= 0 or cell in self._unpacked else source.unpacked(cell.value)

    def peek(self, key: Key) -> object:
        """The value of a cell, or None, without depending on it."""
        cell = self._cells.get(key)
        return None if cell is None else cell.value

    def find(self, key: Key) -> Cell | None:
        """A cell to look at, for a Trial."""
        return self._cells.get(key)

    def level(self, source: Source[Any]) -> int:
        """The place of a rule in the order; -1 for inputs and indexes."""
        return self._level.get(source, -1)

    def wanted(self, index: Key) -> Iterable[Key]:
        """The root cells that a first member of this index calls into being."""
        wants = self._wants.get(index[0])
        return wants(*index[1:]) if wants is not None else ()

    def all(self, source: Source[V]) -> list[V]:
        """The value of every cell of a source: a scan, for tests and for whole Snapshots."""
        return [cell.value for cell in self._cells.values() if cell.key[0] is source]

    def put(self, source: Source[V], *arguments: Hashable, value: V) -> None:
        """Set an input; its source's value for what is absent removes it."""
        key = (source, *arguments)
        cell = self._cells.get(key) or self._create(key)
        old = cell.value if cell in self._unpacked else source.unpacked(cell.value)
        if old is not value and old != value:
            cell.value = value
            self._unpacked[cell] = None
            self._mark_readers(cell)
        self._drop_if_idle(cell)

    def want(self, key: Key) -> None:
        """Call a root cell into being, if it is not there."""
        if key not in self._cells:
            self._mark(self._create(key))

    def give(self, old: frozenset[Gift], new: frozenset[Gift]) -> None:
        """Replace what one giver puts into indexes."""
        for index, member in new - old if old else new:
            self._add(index, member)
        for index, member in old - new if old else ():
            self._remove(index, member)

    def settle(self) -> Mapping[Cell, Any]:
        """Make again what must be. Returns the cells made again, new or gone, and what each held before."""
        while True:
            while (cell := self._next()) is not None:
                self._remake(cell)
            if not self._collect():
                break
        for cell in self._unpacked:
            cell.value = cell.key[0].packed(cell.value)
        self._unpacked = {}
        before, self._before = self._before, {}
        return before

    def _create(self, key: Key) -> Cell:
        cell = self._cells[key] = Cell(key, key[0].absent, self.level(key[0]))
        return cell

    def _next(self) -> Cell | None:
        while self._lowest < len(self._dirty):
            if self._dirty[self._lowest]:
                return self._dirty[self._lowest].popitem()[0]
            self._lowest += 1
        return None

    def _remake(self, cell: Cell) -> None:
        old = cell.value
        self._before.setdefault(cell, old)
        try:
            self._make(cell)
        except BaseException:
            # A defect here must not lose the change: the next settle tries again.
            self._mark(cell)
            raise
        if cell.readers is not None and cell.value is not old and cell.value != old:
            self._mark_readers(cell)

    def _make(self, cell: Cell) -> None:
        rule, arguments = cell.key[0], cell.key[1:]
        outer, self._frame = self._frame, set()
        try:
            value = rule.make(self, *arguments)
            reads = self._frame
        finally:
            self._frame = outer
        self.counted += rule.counted
        cell.value = value
        self._link(cell, reads)
        if rule.gives is not None:
            gifts = frozenset(rule.gives(value, *arguments))
            if gifts != cell.gifts:
                old, cell.gifts = cell.gifts, gifts
                self.give(old, gifts)
        if value is None and rule.root:
            self._orphans.add(cell)

    def _link(self, cell: Cell, reads: set[Cell]) -> None:
        old = cell.reads
        if old and len(old) == len(reads) and reads.issuperset(old):
            return
        cell.reads = tuple(reads)
        for source in reads.difference(old) if old else reads:
            readers = source.readers
            if readers is None:
                source.readers = cell
            elif isinstance(readers, Cell):
                source.readers = {readers, cell}
            else:
                readers.add(cell)
        for source in old:
            if source not in reads:
                self._unlink(source, cell)

    def _unlink(self, source: Cell, reader: Cell) -> None:
        readers = source.readers
        if isinstance(readers, set):
            readers.discard(reader)
        if readers is reader or readers == _NOBODY:
            source.readers = None
            if source.level >= 0:
                self._orphans.add(source)
            else:
                self._drop_if_idle(source)

    def _drop_if_idle(self, cell: Cell) -> None:
        """Forget an input or index that holds nothing and that nobody reads."""
        if cell.readers is None and cell.value is cell.key[0].absent:
            self._cells.pop(cell.key, None)
            self._unpacked.pop(cell, None)

    def _collect(self) -> bool:
        """Remove cells that nobody reads; whether there were any to look at."""
        if not self._orphans:
            return False
        while self._orphans:
            cell = self._orphans.pop()
            if cell.readers is not None or (cell.key[0].root and cell.value is not None):
                continue
            self._before.setdefault(cell, cell.value)
            del self._cells[cell.key]
            self._dirty[cell.level].pop(cell, None)
            cell.value = None
            for source in cell.reads:
                self._unlink(source, cell)
            self.give(cell.gifts, _NO_GIFTS)
        return True

    def _mark(self, cell: Cell) -> None:
        self._dirty[cell.level][cell] = None
        self._lowest = min(self._lowest, cell.level)

    def _mark_readers(self, cell: Cell) -> None:
        readers = cell.readers
        if isinstance(readers, Cell):
            self._mark(readers)
        elif readers is not None:
            for reader in readers:
                self._mark(reader)

    def _add(self, index: Key, member: Hashable) -> None:
        cell = self._cells.get(index) or self._create(index)
        if cell.value is index[0].absent:
            cell.value = {}
            for root in self.wanted(index):
                self.want(root)
        count = cell.value.get(member, 0)
        cell.value[member] = count + 1
        if not count:
            self._mark_readers(cell)

    def _remove(self, index: Key, member: Hashable) -> None:
        cell = self._cells[index]
        if cell.value[member] > 1:
            cell.value[member] -= 1
            return
        del cell.value[member]
        if not cell.value:
            cell.value = index[0].absent
        self._mark_readers(cell)
        self._drop_if_idle(cell)
