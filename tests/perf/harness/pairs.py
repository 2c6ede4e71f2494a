"""Paired runs: subjects take turns, so that what the machine does meanwhile hits all of them alike.

In: subjects, and how one is run. Out: a figure a round of each. Ratios are medians over rounds of the ratio within a
round, never a ratio of medians. Called by benchmarks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import TypeVar

T = TypeVar("T")


def take_turns(subjects: Sequence[str], run: Callable[[str], T], rounds: int) -> dict[str, list[T]]:
    """A, B, B, A, ...: each round runs every subject once, in the opposite order of the round before."""
    taken: dict[str, list[T]] = {subject: [] for subject in subjects}
    for number in range(rounds):
        for subject in subjects if number % 2 == 0 else reversed(subjects):
            taken[subject].append(run(subject))
    return taken


def ratio(figures: Mapping[str, Sequence[float]], of: str, to: str) -> float:
    """Median over the rounds of one subject's figure to another's."""
    return median(one / other for one, other in zip(figures[of], figures[to], strict=True))


def difference(figures: Mapping[str, Sequence[float]], of: str, to: str) -> float:
    """Median over the rounds of what one subject's figure exceeds another's by."""
    return median(one - other for one, other in zip(figures[of], figures[to], strict=True))
