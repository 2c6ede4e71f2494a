"""What is left to do when a request has ended: the text that the proxy keeps, and what it comes to."""

from __future__ import annotations

import pytest
from fastforward_pipeline.effects import UNASKED, Bucket, GiveBack, TakeTokens
from fastforward_pipeline.ends import Charge, End, give_back, read_ends, settle_ends, write_ends

BUCKET = Bucket("{shop/tokens}0a1b@month-1790812800", 1000, 100, 60_000)
CHARGE = Charge(BUCKET, "usage.total_tokens", 5)
PLACE = GiveBack("{shop/at-once}0a1b@once", "d3adb33f-7")


@pytest.mark.parametrize("ends", [(CHARGE,), (PLACE,), (CHARGE, PLACE, Charge(BUCKET, "header:x-units", 0))])
def test_the_text_says_what_was_written(ends: tuple[End, ...]) -> None:
    assert read_ends(write_ends(ends)) == ends


@pytest.mark.parametrize("text", ["", "x,y", "p,a", "c,a,1,2,3", "c,a,x,1,1,b,1", ";", "p,a,b,c"])
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"nothing of an end|invalid literal"):
        read_ends(text)


@pytest.mark.parametrize(
    ("status", "told", "cost"),
    [
        (200, {"usage.total_tokens": 42.0}, 42.0),
        (200, {"usage.total_tokens": 0.0}, 0.0),
        (200, {"other": 1.0}, 5.0),
        (204, {}, 5.0),
        (302, {}, 0.0),
        (500, {}, 0.0),
        (500, {"usage.total_tokens": 3.0}, 3.0),
        (0, {}, 0.0),
    ],
)
def test_a_cost_is_what_was_told_or_what_the_limit_says_of_success(
    status: int, told: dict[str, float], cost: float
) -> None:
    assert CHARGE.cost(status, told) == cost
    owed = Bucket(BUCKET.key, 1000, 100, 60_000, cost=cost, least=UNASKED)
    assert settle_ends((CHARGE, PLACE), status, told) == TakeTokens((owed, PLACE) if cost else (PLACE,))


def test_who_goes_nowhere_gives_places_back_and_pays_nothing() -> None:
    assert give_back((CHARGE, PLACE)) == TakeTokens((PLACE,))
