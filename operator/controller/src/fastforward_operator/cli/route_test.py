"""`ff test`: the route tests of a directory, judged by the evaluator of live traffic.

In: directories with resources and `*.test.yaml`; or with these alone, and a cluster with the resources. Out: a line a
test with every difference, JUnit XML on request; exit code 1 when a test fails or a file is broken. Called by cli/main.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from fastforward_compiler.emit.decision import DecisionEmitter
from fastforward_pipeline import TokenBuckets

from fastforward_operator.supervisor.yamlfile import FileProblemError

from .bench import Bench
from .comparison import differences
from .junit import Result, junit_xml
from .listener import come_in
from .offline import Offline, load, load_over, require
from .output import Output, counted, print_data
from .simulation import Judged, RequestError, judge
from .source import read_cluster
from .testfile import Case, read_cases
from .where import CURRENT, Where


def run(directories: Sequence[Path], output: Output, junit: Path | None, where: Where) -> int:
    """Run the tests and print how they ended."""
    require(directories)
    try:
        cases = read_cases(directories)
    except FileProblemError as error:
        print(error, file=sys.stderr)
        return 1
    if not cases:
        names = " ".join(map(str, directories))
        print(f"There are no tests in {names}: write some into a file such as routes.test.yaml.", file=sys.stderr)
        return 1
    worlds = _load(directories, where, {case.at for case in cases} | {None})
    benches = {
        at: Bench(DecisionEmitter().apply(offline.delta).upserts, [case for case in cases if case.at == at])
        for at, offline in worlds.items()
    }
    results = [_run_case(benches[case.at], case) for case in cases]
    written = junit is None or _write_junit(junit, results)
    if output is Output.TEXT:
        checked = f"--context={where.context or CURRENT}" if where.is_cluster else " ".join(map(str, directories))
        _print(results, problems=len(worlds[None].findings()), checked=checked)
    else:
        print_data([_data(result) for result in results], output)
    return 0 if written and not any(result.differences for result in results) else 1


def _load(
    directories: Sequence[Path], where: Where, times: Iterable[datetime | None]
) -> dict[datetime | None, Offline]:
    """The resources as they are at each time; None is now."""
    if not where.is_cluster:
        return {at: load(directories, at=at) for at in times}
    cluster = read_cluster(where)
    return {at: load_over(cluster, (), at) for at in times}


def _write_junit(path: Path, results: Sequence[Result]) -> bool:
    try:
        path.write_text(junit_xml(results), encoding="utf-8")
    except OSError as error:
        print(f"{path} can't be written ({error.strerror}): name another file with --junit.", file=sys.stderr)
        return False
    return True


def _run_case(bench: Bench, case: Case) -> Result:
    started = time.perf_counter()
    try:
        found = differences(case.expect, _judge_case(bench, case))
    except RequestError as error:
        found = (f"request: {error}",)
    return Result(case=case, differences=found, seconds=time.perf_counter() - started)


def _judge_case(bench: Bench, case: Case) -> Judged:
    """Send it as often as wanted at one moment; the last one counts."""
    written, buckets = case.request, TokenBuckets()
    request = come_in(bench.snapshot, bench.request(case, bench.credentials(case)), "listener")
    for _ in range(written.times - 1):
        judge(bench.snapshot, request, buckets, external=written.external)
    return judge(bench.snapshot, request, buckets, external=written.external)


def _print(results: Sequence[Result], *, problems: int, checked: str) -> None:
    for result in results:
        print(f"{'FAIL' if result.differences else 'ok  '} {result.case.place} {result.case.name}")
        for difference in result.differences:
            print(f"       {difference}")
    failed = sum(bool(result.differences) for result in results)
    print(f"{counted(len(results), 'test')}, {failed or 'none'} failed.")
    if problems:
        found = counted(problems, "problem")
        print(f"The resources have {found}, which may be why: ff validate {checked}", file=sys.stderr)


def _data(result: Result) -> dict[str, object]:
    return {
        "name": result.case.name,
        "at": result.case.place,
        "passed": not result.differences,
        "differences": list(result.differences),
    }
