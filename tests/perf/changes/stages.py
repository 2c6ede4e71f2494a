"""Where the time of changes goes: the operator's own histograms, and what is left to those who look from outside.

In: the operator's metrics before and after some changes. Out: mean milliseconds a change of each stage. Called by
benchmarks. They are means, for a histogram knows its sum exactly and percentiles by buckets only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

COLUMNS = ("a change", "read, parse", "compile", "emit", "hand over", "send, apply, acknowledge", "notice, ask")


class Stages(NamedTuple):
    """Mean milliseconds, in the order of COLUMNS; all but the first add up to it."""

    change: float
    """From the rename to the first answer with the new content, as the benchmark saw it."""
    parse: float
    """From being seen to being published, without the next three: the file is read and parsed, the loop waited for."""
    compile: float
    emit: float
    publish: float
    """Handed to the server of proxies, which lives in another thread."""
    acknowledge: float
    """From then until every proxy has acknowledged it."""
    outside: float
    """The rest: until the kernel's word of the file is heard, and from the acknowledgement to the first answer, which
    may come before it."""


def stages(before: Mapping[str, float], after: Mapping[str, float], change_ms: float) -> Stages:
    """`change_ms`: mean of the changes between the two."""
    seconds = {
        name: _mean(before, after, metric, f'{{stage="{name}"}}')
        for metric, names in (
            ("ff_stage_seconds", ("compile", "emit", "publish")),
            ("ff_change_seconds", ("published", "acknowledged")),
        )
        for name in names
    }
    ms = {name: 1e3 * value for name, value in seconds.items()}
    return Stages(
        change=round(change_ms, 2),
        parse=round(ms["published"] - ms["compile"] - ms["emit"] - ms["publish"], 2),
        compile=round(ms["compile"], 2),
        emit=round(ms["emit"], 2),
        publish=round(ms["publish"], 2),
        acknowledge=round(ms["acknowledged"] - ms["published"], 2),
        outside=round(change_ms - ms["acknowledged"], 2),
    )


def _mean(before: Mapping[str, float], after: Mapping[str, float], metric: str, labels: str) -> float:
    total, counted = (
        after.get(name, 0.0) - before.get(name, 0.0) for name in (f"{metric}_sum{labels}", f"{metric}_count{labels}")
    )
    if not counted:
        raise ValueError(f"The operator counted nothing in {metric}{labels}.")
    return total / counted
