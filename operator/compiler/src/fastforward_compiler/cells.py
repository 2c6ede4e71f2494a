"""Values made from other values, and made again only when what they were made from changed.

In: inputs, set from outside, and rules that make one value by reading others. Out: after `settle`, which cells were
made again and what they held before. Called by compile, which owns the one instance, and by every module of translate
through `read`. Why it exists: reads are recorded as they happen, so that nobody maintains by hand who depends on whom,
and the cost of a change is the cost of what it touches. A value that comes out equal stops the change there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Generic, TypeVar, cast

V = TypeVar("V")
M = TypeVar("M", bound=Hashable)

Key = tuple[Any, ...]
"""(source, argument, ...): one cell."""
Gift = tuple[Key, Hashable]
"""(key of an index, member): a member that a value puts into an index."""

_NO_GIFTS: frozenset[Gift] = frozenset()
_FEW = 6
"""Up to so many are held in a tuple, of 48 bytes and 8 each; a set takes 216 for the first one."""


class Source(Generic[V]):
    """What can be read: a family of cells, one for each tuple of arguments."""

    __slots__ = ("absent", "name")
    made = False
    """Whether its values are made from others."""

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

    def gifts(self, value: Any, *arguments: Hashable) -> frozenset[Gift]:  # noqa: ANN401, ARG002 - of any source
        """What a value puts into indexes."""
        return _NO_GIFTS


class Index(Source[Collection[M]]):
    """Members. Held as a tuple while they are few that one giver each has put in; else with how many givers."""

    __slots__ = ()

    def __init__(self, name: str) -> None:
        super().__init__(name, ())


class Rule(Source[V]):
    """A family of made cells. `make(cells, *arguments)` must depend on nothing but its arguments and what it reads.

    A root lives until it makes None; other cells live while somebody reads them. `gives` names what the value puts
    into indexes; nothing where it is None. Making a `counted` cell is what `Cells.counted` counts.
    """

    __slots__ = ("counted", "gives", "make", "root")
    made = True

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

    def gifts(self, value: Any, *arguments: Hashable) -> frozenset[Gift]:  # noqa: ANN401 - of this rule's making
        """Asked for again, rather than kept, when a value goes: most stay."""
        return _NO_GIFTS if self.gives is None or value is None else frozenset(self.gives(value, *arguments))


class Cell:
    """One value, who was read to make it and who reads it. Compared by identity.

    There are ten for each of ten thousand Routes: it holds what nothing else tells.
    """

    __slots__ = ("_readers", "key", "reads", "value")

    def __init__(self, key: Key) -> None:
        self.key = key
        self.value: Any = key[0].absent
        self.reads: tuple[Cell, ...] = ()
        self._readers: Cell | tuple[Cell, ...] | dict[Cell, None] = ()

    @property
    def gifts(self) -> frozenset[Gift]:
        """What its value puts into indexes."""
        return self.key[0].gifts(self.value, *self.key[1:])

    @property
    def readers(self) -> Collection[Cell]:
        """Not to be kept while readers come and go."""
        readers = self._readers
        return (readers,) if isinstance(readers, Cell) else readers

    def add_reader(self, reader: Cell) -> None:
        """A first one is held as it is, a few in a tuple."""
        readers = self._readers
        if isinstance(readers, dict):
            readers[reader] = None
        elif not readers:
            self._readers = reader
        else:
            held = (*self.readers, reader)
            self._readers = held if len(held) <= _FEW else dict.fromkeys(held)

    def drop_reader(self, reader: Cell) -> None:
        """One that is there."""
        readers = self._readers
        if isinstance(readers, dict):
            readers.pop(reader, None)
            if not readers:
                self._readers = ()
        else:
            self._readers = tuple(each for each in self.readers if each is not reader)


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
        self._unpacked: dict[Cell, object] = {}
        """Inputs that were set since everything was settled, and what each is kept as, if that is made already."""
        self.counted = 0
        """Counted cells made so far; whoever reports it sets it back."""

    def read(self, source: Source[V], *arguments: Hashable) -> V:
        """The value of a cell; the cell that is being made now depends on it from here on."""
        key = (source, *arguments)
        cell = self._cells.get(key)
        if cell is None:
            cell = self._create(key)
            if source.made:
                self._before[cell] = None
                self._make(cell)
        self._frame.add(cell)
        return cell.value if source.made or cell in self._unpacked else source.unpacked(cell.value)

    def peek(self, key: Key) -> object:
        """The value of a cell, or None, without depending on it."""
        cell = self._cells.get(key)
        return None if cell is None else cell.value

    def find(self, key: Key) -> Cell | None:
        """A cell to look at, for a Trial."""
        return self._cells.get(key)

    def level(self, rule: Source[Any]) -> int:
        """The place of a rule in the order."""
        return self._level[rule]

    def wanted(self, index: Key) -> Iterable[Key]:
        """The root cells that a first member of this index calls into being."""
        wants = self._wants.get(index[0])
        return wants(*index[1:]) if wants is not None else ()

    def all(self, source: Source[V]) -> list[V]:
        """The value of every cell of a source: a scan, for tests and for whole Snapshots."""
        return [cell.value for cell in self._cells.values() if cell.key[0] is source]

    def put(self, source: Source[V], *arguments: Hashable, value: V, kept: object = None) -> None:
        """Set an input; its source's value for what is absent removes it. `kept`: what it is kept as, if known."""
        key = (source, *arguments)
        cell = self._cells.get(key) or self._create(key)
        new: object = value
        if cell not in self._unpacked:
            # Whether it is as it was, what is kept tells as well, and need not be made again for that.
            new = kept = source.packed(value) if kept is None else kept
        if cell.value is not new and cell.value != new:
            cell.value = value
            self._unpacked[cell] = kept
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
        for cell, kept in self._unpacked.items():
            cell.value = cell.key[0].packed(cell.value) if kept is None else kept
        self._unpacked = {}
        before, self._before = self._before, {}
        return before

    def _create(self, key: Key) -> Cell:
        cell = self._cells[key] = Cell(key)
        return cell

    def _next(self) -> Cell | None:
        while self._lowest < len(self._dirty):
            if self._dirty[self._lowest]:
                return self._dirty[self._lowest].popitem()[0]
            # Gives back the room of what there was.
            self._dirty[self._lowest].clear()
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
        if cell.readers and cell.value is not old and cell.value != old:
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
        old, new = cell.gifts, rule.gifts(value, *arguments)
        cell.value = value
        self._link(cell, reads)
        if new != old:
            self.give(old, new)
        if value is None and rule.root:
            self._orphans.add(cell)

    def _link(self, cell: Cell, reads: set[Cell]) -> None:
        old = cell.reads
        if old and len(old) == len(reads) and reads.issuperset(old):
            return
        cell.reads = tuple(reads)
        for source in reads.difference(old) if old else reads:
            source.add_reader(cell)
        for source in old:
            if source not in reads:
                self._unlink(source, cell)

    def _unlink(self, source: Cell, reader: Cell) -> None:
        source.drop_reader(reader)
        if source.readers:
            return
        if source.key[0].made:
            self._orphans.add(source)
        else:
            self._drop_if_idle(source)

    def _drop_if_idle(self, cell: Cell) -> None:
        """Forget an input or index that holds nothing and that nobody reads."""
        if not cell.readers and cell.value is cell.key[0].absent:
            self._cells.pop(cell.key, None)
            self._unpacked.pop(cell, None)

    def _collect(self) -> bool:
        """Remove cells that nobody reads; whether there were any to look at."""
        if not self._orphans:
            return False
        while self._orphans:
            cell = self._orphans.pop()
            if cell.readers or (cell.key[0].root and cell.value is not None):
                continue
            self._before.setdefault(cell, cell.value)
            del self._cells[cell.key]
            self._dirty[self._level[cell.key[0]]].pop(cell, None)
            gifts, cell.value = cell.gifts, None
            for source in cell.reads:
                self._unlink(source, cell)
            self.give(gifts, _NO_GIFTS)
        return True

    def _mark(self, cell: Cell) -> None:
        level = self._level[cell.key[0]]
        self._dirty[level][cell] = None
        self._lowest = min(self._lowest, level)

    def _mark_readers(self, cell: Cell) -> None:
        for reader in cell.readers:
            self._mark(reader)

    def _add(self, index: Key, member: Hashable) -> None:
        cell = self._cells.get(index) or self._create(index)
        members = cell.value
        if not members:
            for root in self.wanted(index):
                self.want(root)
        if member not in members:
            self._mark_readers(cell)
            if not isinstance(members, dict) and len(members) < _FEW:
                cell.value = (*members, member)
                return
        cell.value = members = counts(members)
        members[member] = members.get(member, 0) + 1

    def _remove(self, index: Key, member: Hashable) -> None:
        cell = self._cells[index]
        members = cell.value
        if not isinstance(members, dict):
            cell.value = tuple(each for each in members if each != member)
        elif members[member] > 1:
            members[member] -= 1
            return
        else:
            del members[member]
        if not cell.value:
            cell.value = index[0].absent
        self._mark_readers(cell)
        self._drop_if_idle(cell)


def counts(members: Collection[M]) -> dict[M, int]:
    """Of an index: how many givers each member has; the very counts where they are held."""
    return members if isinstance(members, dict) else dict.fromkeys(members, 1)
