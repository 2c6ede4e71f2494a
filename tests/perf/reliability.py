"""What failures did to traffic and statuses: figures of the failure tests, gathered into one file and one page.

usage: python -m perf.reliability FOLDER [--out]

In: a folder with a JSON file for each fault, as `make test-cluster-long` leaves it. Out: a table on the terminal; with
--out also docs/performance/reliability.json and docs/operations/reliability.md. A fault that was not measured this time
keeps the figures of before, with the commit that they are of.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from perf import report

_DATA = report.FOLDER / "reliability.json"
_PAGE = report.ROOT / "docs/operations/reliability.md"
_ETCD = "--unsafe-no-fsync"
_BESIDE = "other work ran on the machine"
Figures = dict[str, Any]

PROMISES: Mapping[str, tuple[str, str]] = {
    "operator-killed": (
        "Operator killed at any write to the API server",
        "0 requests fail, the end is the same at every point, within 5 s",
    ),
    "leader-frozen": (
        "Leader frozen, another takes over, the first wakes",
        "taken over within 5 s, 0 writes taken from the old one",
    ),
    "api-server-away": (
        "API server or etcd stopped or frozen",
        "0 requests fail, changes live 5 s after it is back, a replaced Envoy is configured meanwhile",
    ),
    "watches-disturbed": (
        "Watch events lost, late, repeated, out of order; stale lists; errors",
        "0 requests fail, always the same end",
    ),
    "watch-blind": ("Watch that says nothing any more", "noticed within 30 s"),
    "burst": (
        "10,000 creates, edits, deletes at once",
        "all live within 60 s, a single change meanwhile within 1 s (p99)",
    ),
    "generated": (
        "Generated and hostile resources",
        "0 crashes, 0 refusals by Envoy, neighbours untouched, a reason for each within 5 s",
    ),
    "generated-api": (
        "The same through the API server",
        "0 crashes, 0 refusals by Envoy, neighbours untouched, a status for each within 5 s",
    ),
    "pods": ("Rolling upgrade, an Envoy killed or frozen", "only requests on their way in a killed Envoy fail"),
}
"""Of each fault its name for people, and what is promised."""


def gather(folder: Path, before: Mapping[str, Figures]) -> dict[str, Figures]:
    """Figures of every fault, the newest of each."""
    machine = {name: value for name, value in report.machine().items() if name != "arguments"}
    circumstances = {"machine": machine, "etcd": _ETCD, "beside": _BESIDE}
    new = {
        path.stem: {**json.loads(path.read_text()), "taken": circumstances} for path in sorted(folder.glob("*.json"))
    }
    return {name: {**before, **new}[name] for name in PROMISES if name in before or name in new}


def page(faults: Mapping[str, Figures]) -> str:
    """The page for people."""
    return "\n".join(_lines(faults)) + "\n"


def _lines(faults: Mapping[str, Figures]) -> Iterator[str]:
    yield from (
        "# Reliability",
        "",
        "What failures do to requests, statuses and configuration. Each figure is of a test that breaks the real",
        "thing: API server, etcd, the operator as a process of its own, Envoys that are asked without a pause. A",
        "failed request is any answer but 200 on a route that was there before. `make test-cluster-long` takes the",
        "figures again; this page is made from `docs/performance/reliability.json`.",
        "",
        f"etcd ran with `{_ETCD}`: it does not wait for the disk. {_BESIDE[0].upper()}{_BESIDE[1:]}",
        "while figures were taken, which makes times longer, not shorter.",
        "",
        "| Fault | Promise | Holds | Figures |",
        "|---|---|---|---|",
    )
    for name, (fault, promise) in PROMISES.items():
        figures = faults.get(name)
        if figures is None:
            yield f"| {fault} | {promise} | | not measured yet |"
        else:
            yield f"| {fault} | {promise} | {'yes' if figures['holds'] else 'no'} | {_summary(figures)} |"
    yield from _shortfalls(faults)


def _summary(figures: Figures) -> str:
    told = [f"{label}: {value}" for label, value in figures.get("summary", {}).items()]
    return "<br>".join(told)


def _shortfalls(faults: Mapping[str, Figures]) -> Iterator[str]:
    causes = [(PROMISES[name][0], each["cause"]) for name, each in faults.items() if each.get("cause")]
    if causes:
        yield from ("", "## What to know", "")
        for fault, cause in causes:
            yield f"- **{fault}.** {cause}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", action="store_true", help="write the JSON and the page")
    options = parser.parse_args()
    before = json.loads(_DATA.read_text())["faults"] if _DATA.exists() else {}
    faults = gather(options.folder, before)
    text = page(faults)
    print(text)
    if options.out:
        _DATA.write_text(json.dumps({"faults": faults}, indent=1) + "\n")
        _PAGE.write_text(text)


if __name__ == "__main__":
    main()
