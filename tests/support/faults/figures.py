"""Where tests of failures put what they measured: a file for each fault, which `python -m perf.reliability` gathers.

In: a fault's name and figures. Out: files in the folder that FF_FIGURES names; none when it names none.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_VARIABLE = "FF_FIGURES"


def smaller(count: int, usual: int, what: str) -> str:
    """A note on a test that was run on a smaller scale than figures are taken on."""
    return "" if count >= usual else f"{count:,} {what} instead of {usual:,}."


def requests(rounds: Iterable[Mapping[str, Any]]) -> str:
    """Of several loads, how many requests there were, and how many of them failed."""
    told = list(rounds)
    failed = sum(sum(each["failed"].values()) for each in told)
    return f"{sum(each['requests'] for each in told)}, failed: {failed}"


class Figures:
    """One a run."""

    def put(
        self,
        fault: str,
        summary: Mapping[str, str],
        *,
        holds: bool,
        note: str = "",
        **more: Any,  # noqa: ANN401 - JSON
    ) -> None:
        """What was measured of a fault, for the table by name; also printed, for whoever runs a test alone.

        `note` is what readers have to know of these very figures, as that a test was run on a smaller scale. Why a
        promise is known not to hold stands beside the promise, in perf.reliability.
        """
        text = json.dumps({"holds": holds, "summary": summary, **({"note": note} if note else {}), **more}, indent=1)
        print(f"{fault}: {text}")
        if bool(folder := os.environ.get(_VARIABLE, "")):
            path = Path(folder)
            path.mkdir(parents=True, exist_ok=True)
            (path / f"{fault}.json").write_text(text + "\n")
