"""Every benchmark works, as small as that can be shown. What it finds on a busy machine says nothing."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from perf.__main__ import BENCHMARKS
from perf.harness.command import told
from perf.harness.page import bound

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.mark.parametrize("name", [name for name, each in BENCHMARKS.items() if not each.of_clusters])
def test_a_small_run_finds_figures(name: str) -> None:
    chosen = BENCHMARKS[name]
    progress: list[str] = []
    outcome = chosen.measure(chosen.smoke, progress.append)
    assert progress, "whoever waits is told nothing"
    assert set(outcome.figures) <= set(chosen.goals)
    assert outcome.tables
    assert all(len(row) == len(table.columns) for table in outcome.tables for row in table.rows)
    assert all(bar.value >= 0 for chart in outcome.charts for bar in chart.bars)
    json.dumps(asdict(outcome))
    assert chosen.title in told(chosen, outcome)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_goals_say_what_they_are_of(name: str) -> None:
    for goal in BENCHMARKS[name].goals.values():
        assert goal.what
        assert bound(goal)
