"""`ff diff`: the requests that two sets of resources treat differently, with an example of each difference.

In: two directories, or a cluster and a directory that is to be applied there. Out: requests, found from the match
structure of both sides, with what became of them before and what would become of them after. Exit code 0 when none
differs, 1 when one does. Called by cli/main. Both sides are judged by the evaluator of live traffic.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastforward_compiler import ir
from fastforward_compiler.emit.decision import DecisionEmitter
from fastforward_pipeline import TokenBuckets

from .bench import Bench
from .moment import moment
from .offline import Offline, load, load_over, warn_of_problems
from .outcome import Outcome, World
from .output import Output, counted, print_data
from .simulation import RequestError, judge
from .source import read_cluster
from .testfile import Case, CaseRequest, Expectation
from .where import CURRENT, Where
from .witness import Witnesses

MOST = 100_000
"""Requests that are tried."""
_NONE = "none"

Change = Mapping[str, tuple[str, str]]
"""Label -> before, after; of what differs."""


@dataclass(slots=True)
class Difference:
    """A way in which requests change, and the first that does."""

    case: Case
    change: Change
    more: int = 0
    """Other requests that change in the same way."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was found."""

    tried: int
    differences: tuple[Difference, ...]
    complete: bool
    """Whether all requests were tried."""
    several: bool
    """Whether there are several Edges or Gateways' ports that requests are sent to."""


class _Side:
    """One set of resources."""

    def __init__(self, offline: Offline, cases: Sequence[Case], like: _Side | None = None) -> None:
        resources = DecisionEmitter().apply(offline.delta).upserts
        self.bench = Bench(resources, cases, like.bench if like is not None else None)
        self._world = World(offline.delta)

    def outcome(self, case: Case, credentials: Sequence[tuple[str, str]]) -> Outcome:
        request = self.bench.request(case, credentials)
        return self._world.outcome(judge(self.bench.snapshot, request, TokenBuckets()))


def run_directories(before: Path, after: Path, output: Output, at: str = "") -> int:
    """Of two directories."""
    when = moment(at)
    sides = [(load([directory], at=when), directory) for directory in (before, after)]
    for offline, directory in sides:
        warn_of_problems(offline, [directory])
    return _print(compare(sides[0][0], sides[1][0]), output)


def run_live(directories: Sequence[Path], output: Output, where: Where, at: str = "") -> int:
    """Of a cluster, and the same cluster after the directories have been applied."""
    cluster = read_cluster(where if where.is_cluster else Where(where.api, CURRENT, where.kubeconfig))
    when = moment(at)
    applied = load_over(cluster, directories, when)
    warn_of_problems(applied, directories)
    return _print(compare(load_over(cluster, (), when), applied), output)


def compare(before: Offline, after: Offline) -> Report:
    """Try the requests of both sides on both."""
    sides = (before, after)
    cases = [list(_cases(offline)) for offline in sides]
    known = [*cases[0], *cases[1]]
    first = _Side(before, known)
    second = _Side(after, known, first)
    found: dict[str, Difference] = {}
    tried: set[str] = set()
    for side, own in ((first, cases[0]), (second, cases[1])):
        for case in own:
            if case.name in tried or len(tried) == MOST:
                continue
            tried.add(case.name)
            try:
                # Proved as the side asks for it that the request comes from: the other one may ask for something else.
                credentials = side.bench.credentials(case)
                change = _differing(first.outcome(case, credentials), second.outcome(case, credentials))
            except RequestError:
                continue
            if change:
                _note(found, case, change)
    wanted = {case.name for case in known}
    return Report(
        tried=len(tried),
        differences=tuple(found.values()),
        complete=len(tried) == len(wanted),
        several=len({case.edge for case in known}) > 1,
    )


def _cases(offline: Offline) -> Iterator[Case]:
    for edge, request in Witnesses(offline.delta).requests():
        # Two Edges may have the host: the same request, sent to each of them, is two.
        name = f"{edge} {request.model_dump_json()}"
        yield Case(name=name, place="", file="", request=request, expect=Expectation(), edge=edge)


def _note(found: dict[str, Difference], case: Case, change: Change) -> None:
    key = repr(sorted(change.items()))
    if key in found:
        found[key].more += 1
    else:
        found[key] = Difference(case, change)


def _differing(before: Outcome, after: Outcome) -> Change:
    labels = dict.fromkeys((*before, *after))
    return {
        label: (before.get(label, ""), after.get(label, ""))
        for label in labels
        if before.get(label, "") != after.get(label, "")
    }


def _print(report: Report, output: Output) -> int:
    if output is not Output.TEXT:
        print_data(_data(report), output)
    else:
        for difference in report.differences:
            print("\n".join(_lines(difference, several=report.several)))
        ways = counted(len(report.differences), "way")
        changed = sum(1 + difference.more for difference in report.differences)
        said = (
            f"{counted(changed, 'request')} of {report.tried} changes, in {ways}."
            if changed
            else (f"No request changes: {counted(report.tried, 'request')} tried.")
        )
        print(said)
    if not report.complete:
        print(f"There are more than {MOST} requests to try; the others were left out.", file=sys.stderr)
    return 1 if report.differences else 0


def _lines(difference: Difference, *, several: bool) -> Iterator[str]:
    request = difference.case.request
    asked = [f"{request.method} {request.url}", *(f"-H '{name}: {value}'" for name, value in request.headers.items())]
    like = f"   ({counted(difference.more, 'more')[:-1]} like it)" if difference.more > 1 else ""
    caller = _caller(request)
    at = f"   at {_place(difference.case)}" if several else ""
    yield " ".join(asked) + at + (f"   by {caller}" if caller else "") + like
    width = max(map(len, difference.change))
    for label, (before, after) in difference.change.items():
        yield f"    {label:<{width}}  {before or _NONE} -> {after or _NONE}"


def _place(case: Case) -> str:
    gateway, is_gateway, port = case.edge.partition(f"{ir.GATEWAY}@")
    return f"Gateway {gateway}, port {port}" if is_gateway else f"Edge {case.edge}"


def _caller(request: CaseRequest) -> str:
    """Who asks, in words."""
    if request.token is not None:
        claims = ", ".join(f"{name}={_text(value)}" for name, value in request.token.items() if name != "sub")
        return f"a token with {claims}"
    if request.api_key is not None:
        said = {name: value for name, value in request.api_key.model_dump().items() if value and name != "subject"}
        return f"an API key of {', '.join(f'{name}={_text(value)}' for name, value in said.items()) or 'nobody'}"
    return ""


def _text(value: object) -> str:
    return "+".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _data(report: Report) -> dict[str, Any]:
    return {
        "tried": report.tried,
        "complete": report.complete,
        "differences": [
            {
                "at": _place(difference.case),
                "request": difference.case.request.model_dump(by_alias=True, exclude_defaults=True),
                "alike": difference.more,
                "before": {label: before for label, (before, _) in difference.change.items() if before},
                "after": {label: after for label, (_, after) in difference.change.items() if after},
            }
            for difference in report.differences
        ],
    }
