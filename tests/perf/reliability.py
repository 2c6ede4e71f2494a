"""What failures did to traffic and statuses: figures of the failure tests, gathered into one file and one page.

usage: python -m perf.reliability FOLDER [--out] [--busy]

In: a folder with a JSON file for each fault, as `make test-cluster-long` leaves it. Out: a table on the terminal; with
--out also docs/performance/reliability.json and docs/operations/reliability.md. A fault that was not measured this time
keeps the figures of before, with the commit that they are of. Remarks are of two kinds: what is to be known of certain
figures is written beside them by the test that took them, and goes with them; why a promise is known not to hold is
written here beside the promise, and told only of figures that do not keep it. Neither file is edited by hand.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from perf.harness import report

_DATA = report.FOLDER / "reliability.json"
_PAGE = report.ROOT / "docs/operations/reliability.md"
_ETCD = "--unsafe-no-fsync"
_BUSY = "other work ran on the machine"
Figures = dict[str, Any]


class Fault(NamedTuple):
    """A row of the table."""

    name: str
    promise: str
    why: str = ""
    """Why the promise is known not to hold; nobody is told while it does."""


FAULTS: Mapping[str, Fault] = {
    "operator-killed": Fault(
        "Operator killed at any write to the API server",
        "0 requests fail, the end is the same at every point, within 5 s",
        "Most of the time is what the process that starts again takes to start.",
    ),
    "leader-frozen": Fault(
        "Leader frozen, another takes over, the first wakes",
        "taken over within 5 s, 0 writes taken from the old one",
    ),
    "api-server-away": Fault(
        "API server or etcd stopped or frozen",
        "0 requests fail, changes live 5 s after it is back, a replaced Envoy is configured meanwhile",
        "An API server whose etcd was frozen says that it is ready seconds before it takes a change.",
    ),
    "watches-disturbed": Fault(
        "Watch events lost, late, repeated, out of order; stale lists; errors",
        "0 requests fail, always the same end",
    ),
    "watch-blind": Fault("Watch that says nothing any more", "noticed within 30 s"),
    "burst": Fault(
        "10,000 creates, edits, deletes at once",
        "all live within 60 s, a single change meanwhile within 1 s (p99)",
        "An API server with two cores, which all others use as well, takes more than a minute for 10,000 edits.",
    ),
    "generated": Fault(
        "Generated and hostile resources",
        "0 crashes, 0 refusals by Envoy, neighbours untouched, a reason for each within 5 s",
        "2,000 documents that come at once are read and compiled in half of the time; in the other half the places of "
        "their fields are found and their statuses written, on two cores that Envoy and who asks have to share.",
    ),
    "generated-api": Fault(
        "The same through the API server",
        "0 crashes, 0 refusals by Envoy, neighbours untouched, a status for each within 5 s",
    ),
    "webhook-away": Fault(
        "Webhook down, or its certificate expired",
        "0 requests fail; kinds that decide who gets in are refused, others taken, for as long; 5 s after it is back "
        "all are taken",
    ),
    "pods-upgraded": Fault("Rolling upgrade of operators, and of Envoys", "0 requests fail"),
    "envoy-killed": Fault(
        "One Envoy of two killed, or its pod taken away by force",
        "only requests on their way in it fail; two are Ready again within 3 s, none before it is configured",
        "Until the kubelet notices that a process is gone, which takes up to a second, the Service goes on sending new "
        "connections there, and the kernel refuses them: whoever tries again loses nothing. "
        "A pod that is taken away drains, but a new one has to be made in its place: its network, two containers, and "
        "probes that come once a second.",
    ),
    "envoy-frozen": Fault(
        "One Envoy of two frozen",
        "changes are Programmed without it; only requests that were sent to it fail, until the Service leaves it out; "
        "it counts again when it wakes",
    ),
}


def gather(folder: Path, before: Mapping[str, Figures], beside: str) -> dict[str, Figures]:
    """Figures of every fault, the newest of each; `beside` is what else ran while the new ones were taken."""
    circumstances = {"machine": report.machine(), "etcd": _ETCD, "beside": beside}
    new = {
        path.stem: {**json.loads(path.read_text()), "taken": circumstances} for path in sorted(folder.glob("*.json"))
    }
    return {name: {**before, **new}[name] for name in FAULTS if name in before or name in new}


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
        f"etcd ran with `{_ETCD}`: it does not wait for the disk. Other work ran on the machine while",
        "figures with an asterisk were taken, which makes times longer, not shorter.",
        "",
        "| Fault | Promise | Holds | Figures |",
        "|---|---|---|---|",
    )
    for name, (fault, promise, _) in FAULTS.items():
        figures = faults.get(name)
        if figures is None:
            yield f"| {fault} | {promise} | | not measured yet |"
        else:
            holds = ("yes" if figures["holds"] else "no") + (" \\*" if figures["taken"]["beside"] else "")
            yield f"| {fault} | {promise} | {holds} | {_summary(figures)} |"
    yield from _remarks(faults)


def _summary(figures: Figures) -> str:
    told = [f"{label}: {value}" for label, value in figures.get("summary", {}).items()]
    return "<br>".join(told)


def _remarks(faults: Mapping[str, Figures]) -> Iterator[str]:
    told = {
        FAULTS[name].name: " ".join(
            text for text in ("" if each["holds"] else FAULTS[name].why, each.get("note", "")) if text
        )
        for name, each in faults.items()
    }
    if any(told.values()):
        yield from ("", "## What to know", "")
        for fault, remarks in told.items():
            if remarks:
                yield f"- **{fault}.** {remarks}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", action="store_true", help="write the JSON and the page")
    parser.add_argument("--busy", action="store_true", help=f"say that {_BUSY}")
    options = parser.parse_args()
    before = json.loads(_DATA.read_text())["faults"] if _DATA.exists() else {}
    faults = gather(options.folder, before, _BUSY if options.busy else "")
    text = page(faults)
    print(text)
    if options.out:
        _DATA.write_text(json.dumps({"faults": faults}, indent=1) + "\n")
        _PAGE.write_text(text)


if __name__ == "__main__":
    main()
