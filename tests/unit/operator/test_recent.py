"""Whoever asks again is told of what changed since, of everything when that is not known, and never of too little."""

import pytest
from fastforward_compiler.problem import ObjectRef
from fastforward_operator.page import Recent

ENVOYS = {"": 3}


def ref(name: str) -> ObjectRef:
    return ObjectRef(kind="Route", namespace="shop", name=name)


def test_what_changed_since_a_mark_is_told_once() -> None:
    recent = Recent()
    recent.note(ref("before"), None)
    mark = recent.mark(ENVOYS)
    assert recent.since(mark, ENVOYS) == frozenset()
    for name in ("a", "b", "a"):
        recent.note(ref(name), None)
    assert recent.since(mark, ENVOYS) == {ref("a"), ref("b")}
    assert recent.since(recent.mark(ENVOYS), ENVOYS) == frozenset()


def test_another_number_of_proxies_leads_to_everything() -> None:
    recent = Recent()
    mark = recent.mark(ENVOYS)
    assert recent.since(mark, {"": 2}) is None
    assert recent.since(mark, {"": 3, "shop/public": 0}) is None


def test_a_mark_that_is_too_old_leads_to_everything() -> None:
    recent = Recent(most=2)
    mark = recent.mark(ENVOYS)
    for name in ("a", "b"):
        recent.note(ref(name), None)
    assert recent.since(mark, ENVOYS) == {ref("a"), ref("b")}
    recent.note(ref("c"), None)
    assert recent.since(mark, ENVOYS) is None


def test_a_mark_of_another_process_leads_to_everything() -> None:
    assert Recent().since(Recent().mark(ENVOYS), ENVOYS) is None


@pytest.mark.parametrize("number", ["", "-1", "1", "x", "²", "٣", "9" * 5000, "0 "])
def test_a_mark_that_nobody_gave_leads_to_everything(number: str) -> None:
    recent = Recent()
    world = recent.mark(ENVOYS).rpartition(".")[0]
    assert recent.since(f"{world}.{number}", ENVOYS) is None
    assert recent.since(number, ENVOYS) is None
