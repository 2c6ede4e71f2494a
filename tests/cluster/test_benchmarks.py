"""Every benchmark that needs an API server works with one, as small as that can be shown."""

from __future__ import annotations

import pytest
from perf.__main__ import BENCHMARKS

from support.benchmarks import try_small

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.mark.parametrize("name", [name for name, each in BENCHMARKS.items() if each.of_clusters])
def test_a_small_run_finds_figures(name: str) -> None:
    try_small(BENCHMARKS[name])


def test_truth_is_found_through_an_api_server_too() -> None:
    try_small(BENCHMARKS["truth"], "--against", "api")
