"""Every benchmark that needs no API server works, as small as that can be shown."""

from __future__ import annotations

import pytest
from perf.__main__ import BENCHMARKS
from perf.harness.page import bound

from support.benchmarks import try_small


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", [name for name, each in BENCHMARKS.items() if not each.of_clusters])
def test_a_small_run_finds_figures(name: str) -> None:
    try_small(BENCHMARKS[name])


@pytest.mark.parametrize("name", BENCHMARKS)
def test_goals_say_what_they_are_of(name: str) -> None:
    for goal in BENCHMARKS[name].goals.values():
        assert goal.what
        assert bound(goal)
