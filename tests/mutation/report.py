"""What a run of mutants says.

In: verdicts. Out: progress, a score for each package, the survivors, reports/mutation.json. Called by __main__.
"""

from __future__ import annotations

import json
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from support.repository import ROOT

from .mutant import Mutant
from .trial import Verdict

REPORT = ROOT / "reports" / "mutation.json"
EQUIVALENTS = Path(__file__).with_name("equivalents.toml")
LEAST_SCORE = 80.0

Place = tuple[str, str, str]


def read_equivalents() -> Mapping[Place, str]:
    """Why no test can notice a mutant, by its module, its lines and what becomes of them."""
    listed = tomllib.loads(EQUIVALENTS.read_text(encoding="utf-8")).get("mutant", [])
    return {(entry["module"], entry["before"], entry["after"]): entry["reason"] for entry in listed}


def place_of(mutant: Mutant) -> Place:
    """How the list of equivalents names a mutant."""
    return (mutant.path, *mutant.diff())


@dataclass(slots=True, kw_only=True)
class Tally:
    """The verdicts on one package."""

    package: str
    killed: int = 0
    cut: int = 0
    survivors: list[Mutant] = field(default_factory=list)

    @property
    def score(self) -> float:
        """Percent of the mutants that tests noticed."""
        total = self.killed + len(self.survivors)
        return 100.0 * self.killed / total if total else 100.0

    def add(self, verdict: Verdict) -> None:
        """Counts one."""
        self.killed += verdict.killed
        self.cut += verdict.cut
        if not verdict.killed:
            self.survivors.append(verdict.mutant)


class Progress:
    """A line for each verdict."""

    def __init__(self, total: int, tallies: Mapping[str, Tally]) -> None:
        self._total = total
        self._tallies = tallies
        self._done = 0
        self._start = time.monotonic()

    def tell(self, verdict: Verdict) -> None:
        """Counts a verdict and shows it."""
        mutant = verdict.mutant
        self._tallies[mutant.package].add(verdict)
        self._done += 1
        word = "cut off " if verdict.cut else "killed  " if verdict.killed else "SURVIVED"
        seconds = time.monotonic() - self._start
        print(
            f"{self._done:5}/{self._total} {seconds:6.0f} s  {word} {mutant.path}:{mutant.line} {mutant.operator}",
            flush=True,
        )


def write_report(tallies: Sequence[Tally], *, seed: int, equivalent: int) -> bool:
    """Prints what survived and the scores, writes them as JSON. Whether every score is high enough."""
    for tally in tallies:
        for mutant in sorted(tally.survivors, key=lambda found: (found.path, found.line)):
            print("\n{}:{} {}\n  - {}\n  + {}".format(mutant.path, mutant.line, mutant.operator, *mutant.diff()))
    print()
    for tally in tallies:
        total = tally.killed + len(tally.survivors)
        print(
            f"{tally.package:20} {tally.score:5.1f} %: {tally.killed} of {total} killed, {tally.cut} by being cut off"
        )
    print(f"{equivalent} of the sample are listed as equivalent. At least {LEAST_SCORE:.0f} % are wanted.")
    REPORT.parent.mkdir(exist_ok=True)
    packages = [
        {
            "package": tally.package,
            "score": round(tally.score, 1),
            "killed": tally.killed,
            "cut_off": tally.cut,
            "survivors": [
                {"path": found.path, "line": found.line, "operator": found.operator, "diff": found.diff()}
                for found in tally.survivors
            ],
        }
        for tally in tallies
    ]
    REPORT.write_text(json.dumps({"seed": seed, "packages": packages}, indent=2) + "\n", encoding="utf-8")
    return all(tally.score >= LEAST_SCORE for tally in tallies)
