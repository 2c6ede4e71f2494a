"""How often something may be said of one object."""

from fastforward_compiler.problem import ObjectRef
from fastforward_operator.kubernetes.pace import Pace

ROUTE = ObjectRef(kind="Route", namespace="shop", name="cart")
OTHER = ObjectRef(kind="Route", namespace="shop", name="books")


def test_a_few_at_once_and_then_one_each_interval() -> None:
    pace = Pace(at_once=3, interval_s=1.0)
    assert [pace.wait(ROUTE, 10.0) for _ in range(4)] == [0.0, 0.0, 0.0, 1.0]
    assert pace.wait(OTHER, 10.0) == 0.0
    assert pace.wait(ROUTE, 10.25) == 0.75
    assert [pace.wait(ROUTE, 11.0), pace.wait(ROUTE, 11.0)] == [0.0, 1.0]


def test_who_was_silent_may_say_as_much_as_at_first() -> None:
    pace = Pace(at_once=2, interval_s=1.0)
    for now in (0.0, 60.0):
        assert [pace.wait(ROUTE, now) for _ in range(3)] == [0.0, 0.0, 1.0]


def test_ten_changes_a_second_are_told_once_a_second() -> None:
    pace = Pace(at_once=10, interval_s=1.0)
    assert sum(pace.wait(ROUTE, tenth / 10) == 0.0 for tenth in range(300)) == 39


def test_objects_of_which_nothing_is_due_are_forgotten() -> None:
    pace = Pace(at_once=2, interval_s=1.0)
    refs = [ObjectRef(kind="Route", namespace="shop", name=f"r{number}") for number in range(3000)]
    for now, ref in enumerate(refs):
        assert pace.wait(ref, float(2 * now)) == 0.0
    assert len(pace._due) <= 1001
