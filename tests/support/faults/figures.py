"""Where tests of failures put what they measured: a file for each fault, which `python -m perf.reliability` gathers.

In: a fault's name and figures. Out: files in the folder that FF_FIGURES names; none when it names none.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_VARIABLE = "FF_FIGURES"


class Figures:
    """One a run."""

    def put(self, fault: str, summary: Mapping[str, str], *, holds: bool, **more: Any) -> None:  # noqa: ANN401 - JSON
        """What was measured of a fault, for the table by name; also printed, for whoever runs a test alone."""
        text = json.dumps({"holds": holds, "summary": summary, **more}, indent=1)
        print(f"{fault}: {text}")
        if bool(folder := os.environ.get(_VARIABLE, "")):
            path = Path(folder)
            path.mkdir(parents=True, exist_ok=True)
            (path / f"{fault}.json").write_text(text + "\n")
