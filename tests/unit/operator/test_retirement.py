"""What the proxies' shared filters hold is taken out after the routes that named it."""

from fastforward_compiler import ir
from fastforward_operator.retirement import Retirement

LIMIT = ir.Limit(name="default/browsing", key=(), budget=ir.Budget(requests=1, window_ms=1000, burst=1))
GONE = ir.Delta(limits=ir.Changes(removed=("default/browsing",)), upstreams=ir.Changes(removed=("default/cart",)))


def test_removals_from_shared_filters_are_kept_back_and_others_are_not() -> None:
    held = Retirement(2.0).hold(GONE, 7, 100.0)
    assert held.limits.removed == ()
    assert held.upstreams.removed == ("default/cart",)


def test_they_are_due_when_the_grace_has_passed_and_the_routes_are_acknowledged() -> None:
    retirement = Retirement(2.0)
    retirement.hold(GONE, 7, 100.0)
    assert retirement.due(101.9, lambda _: True) is None
    assert retirement.due(102.0, lambda revision: revision < 7) is None
    due = retirement.due(102.0, lambda revision: revision <= 7)
    assert due == ir.Delta(limits=ir.Changes(removed=("default/browsing",)))
    assert retirement.due(200.0, lambda _: True) is None


def test_what_is_there_again_is_not_taken_out() -> None:
    retirement = Retirement(2.0)
    retirement.hold(GONE, 7, 100.0)
    retirement.hold(ir.Delta(limits=ir.Changes(upserts=(LIMIT,))), 8, 100.1)
    assert retirement.due(200.0, lambda _: True) is None


def test_a_step_that_removes_nothing_passes_as_it_is() -> None:
    delta = ir.Delta(limits=ir.Changes(upserts=(LIMIT,)))
    assert Retirement(2.0).hold(delta, 1, 0.0) is delta
