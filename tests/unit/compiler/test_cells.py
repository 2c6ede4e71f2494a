"""Cells: what is read is remembered, what changed is made again, what nobody reads is forgotten."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastforward_compiler.cells import Cells, Gift, Index, Rule, Source

TEXT: Source[str | None] = Source("text", None)
SHORT: Index[str] = Index("short texts")
made: list[str] = []


def measure(cells: Cells, name: str) -> int:
    made.append(f"length {name}")
    return len(cells.read(TEXT, name) or "")


def compare(cells: Cells, one: str, other: str) -> str:
    made.append(f"longer {one} {other}")
    return one if cells.read(LENGTH, one) >= cells.read(LENGTH, other) else other


def collect(cells: Cells) -> tuple[str, ...] | None:
    made.append("short")
    return tuple(sorted(cells.read(SHORT))) or None


def show(cells: Cells, name: str) -> str | None:
    return cells.read(TEXT, name)


def shown(value: str | None, name: str) -> Iterator[Gift]:
    if value is not None and len(value) < 3:
        yield (SHORT,), name


def fail(cells: Cells, name: str) -> int:
    return 1 // (cells.read(LENGTH, name))


LENGTH: Rule[int] = Rule("length", measure)
SHOWN: Rule[str | None] = Rule("shown", show, gives=shown, root=True, counted=True)
LONGER: Rule[str] = Rule("longer", compare, root=True)
INVERSE: Rule[int] = Rule("inverse", fail, root=True)
ALL_SHORT: Rule[tuple[str, ...] | None] = Rule("all short", collect, root=True)


@pytest.fixture
def cells() -> Cells:
    made.clear()
    wants = {SHORT: lambda *_: ((ALL_SHORT,),)}
    cells = Cells((LENGTH, SHOWN, LONGER, INVERSE, ALL_SHORT), wants)
    cells.put(TEXT, "a", value="aaaa")
    cells.put(TEXT, "b", value="bb")
    return cells


def test_a_root_is_made_when_it_is_wanted(cells: Cells) -> None:
    cells.want((LONGER, "a", "b"))
    cells.settle()
    assert cells.peek((LONGER, "a", "b")) == "a"


def test_only_what_read_the_changed_input_is_made_again(cells: Cells) -> None:
    cells.want((LONGER, "a", "b"))
    cells.settle()
    made.clear()
    cells.put(TEXT, "b", value="bbbbb")
    cells.settle()
    assert made == ["length b", "longer a b"]
    assert cells.peek((LONGER, "a", "b")) == "b"


def test_a_value_that_comes_out_equal_stops_the_change(cells: Cells) -> None:
    cells.want((LONGER, "a", "b"))
    cells.settle()
    made.clear()
    cells.put(TEXT, "b", value="cc")
    cells.settle()
    assert made == ["length b"]


def test_an_input_set_to_what_it_is_changes_nothing(cells: Cells) -> None:
    cells.want((LONGER, "a", "b"))
    cells.settle()
    cells.put(TEXT, "a", value="aaaa")
    assert cells.settle() == {}


def test_what_is_kept_tells_whether_an_input_is_as_it_was(cells: Cells) -> None:
    class Kept(Source[str | None]):
        def packed(self, value: str | None) -> object:
            return None if value is None else value.encode()

        def unpacked(self, kept: bytes | None) -> str | None:
            made.append(f"unpacked {kept!r}")
            return None if kept is None else kept.decode()

    kept: Source[str | None] = Kept("kept", None)
    rule: Rule[str | None] = Rule("read", lambda cells: cells.read(kept), root=True)
    cells = Cells((rule,), {})
    cells.put(kept, value="long")
    cells.want((rule,))
    cells.settle()
    made.clear()
    cells.put(kept, value="long")
    cells.put(kept, value="long", kept=b"long")
    assert (cells.settle(), made) == ({}, [])
    cells.put(kept, value="short", kept=b"short")
    assert [cell.value for cell in cells.settle()] == ["short"]
    assert made == [], "it was read as it came"


def test_a_cell_that_nobody_reads_any_more_is_forgotten(cells: Cells) -> None:
    cells.want((SHOWN, "a"))
    cells.want((LONGER, "a", "b"))
    cells.settle()
    assert len(cells.all(LENGTH)) == 2
    root = next(cell for cell in cells._cells.values() if cell.key[0] is LONGER)
    cells._orphans.add(root)
    root.value = None
    cells.settle()
    assert cells.all(LENGTH) == []


def test_a_root_that_makes_none_is_gone_and_can_be_wanted_again(cells: Cells) -> None:
    cells.want((SHOWN, "a"))
    cells.settle()
    cells.put(TEXT, "a", value=None)
    steps = cells.settle()
    assert [(cell.key, cell.value, before) for cell, before in steps.items()] == [((SHOWN, "a"), None, "aaaa")]
    assert cells.all(SHOWN) == []
    cells.put(TEXT, "a", value="again")
    cells.want((SHOWN, "a"))
    cells.settle()
    assert cells.all(SHOWN) == ["again"]


def test_the_first_member_of_an_index_wants_a_root_which_follows_its_members(cells: Cells) -> None:
    for name in ("a", "b"):
        cells.want((SHOWN, name))
    cells.settle()
    assert cells.peek((ALL_SHORT,)) == ("b",)
    cells.put(TEXT, "a", value="a")
    cells.settle()
    assert cells.peek((ALL_SHORT,)) == ("a", "b")
    for name in ("a", "b"):
        cells.put(TEXT, name, value="long enough")
    cells.settle()
    assert cells.peek((ALL_SHORT,)) is None


def test_a_member_stays_while_one_of_its_givers_does(cells: Cells) -> None:
    gift = frozenset({((SHORT,), "x")})
    nothing: frozenset[Gift] = frozenset()
    for _ in range(2):
        cells.give(nothing, gift)
    cells.give(gift, nothing)
    cells.settle()
    assert cells.peek((ALL_SHORT,)) == ("x",)
    cells.give(gift, nothing)
    cells.settle()
    assert cells.peek((ALL_SHORT,)) is None


def test_counted_cells_are_counted(cells: Cells) -> None:
    for name in ("a", "b"):
        cells.want((SHOWN, name))
    cells.want((LONGER, "a", "b"))
    cells.settle()
    assert cells.counted == 2


def test_a_change_that_failed_is_tried_again_and_still_told(cells: Cells) -> None:
    cells.want((INVERSE, "a"))
    cells.settle()
    cells.put(TEXT, "a", value="")
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            cells.settle()
    cells.put(TEXT, "a", value="a")
    told = {cell.key: (before, cell.value) for cell, before in cells.settle().items()}
    assert told[INVERSE, "a"] == (0, 1)


def test_names_show_in_representations() -> None:
    assert repr(LENGTH) == "<length>"
