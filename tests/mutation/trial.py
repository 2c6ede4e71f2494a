"""Does any test notice a mutant?

In: mutants and what tests run. Out: a verdict for each. Called by __main__. A mutant inside a function is tried in a
fork of a process that has collected all tests: the function gets its new code in place. What runs when its module is
imported (constants, fields of models) is tried in a fork of a process that has imported nothing of ours.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from itertools import groupby, zip_longest
from types import CodeType, FunctionType

import pytest

from support.repository import ROOT

from .covering import Coverage
from .mutant import Mutant
from .pool import End, run_forked
from .session import first_failure, run_instead

BUDGET_SECONDS = 15.0
"""How much of the tests' own CPU time is spent on one mutant."""
_IMPORT_SECONDS = 40.0


_Attempt = Callable[[Mutant | None, Sequence[str]], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of a mutant: `noticed` by a test, `cut` off because it took far too long, or neither."""

    mutant: Mutant
    noticed_by: str = ""
    cut: bool = False

    @property
    def killed(self) -> bool:
        """Whether something noticed."""
        return bool(self.noticed_by) or self.cut


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trial:
    mutant: Mutant
    tests: tuple[str, ...]
    cpu_seconds: float


def try_mutants(mutants: Sequence[Mutant], covered: Coverage, jobs: int, tell: Callable[[Verdict], None]) -> None:
    """Tries all, those that need fresh imports first, and tells each verdict."""
    inside = [_plan_inside(mutant, covered) for mutant in mutants]
    cold = [_plan_cold(mutant, covered) for mutant, plan in zip(mutants, inside, strict=True) if plan is None]
    for end in run_forked(cold, lambda trial: _examine(trial, _attempt_cold), jobs=jobs):
        tell(_judge(end))
    warm = [plan for plan in inside if plan is not None]
    if warm:
        code = run_instead(lambda items: _try_all_warm(warm, items, jobs, tell))
        if code:
            raise SystemExit(f"The trial ended before its end: pytest says {code}.")


def _plan_inside(mutant: Mutant, covered: Coverage) -> _Trial | None:
    if mutant.function is None or covered.runs_at_import(mutant.path, mutant.lines) or not _same_shape(mutant):
        return None
    tests = covered.within(covered.tests_of(mutant.path, mutant.lines), BUDGET_SECONDS)
    return _plan(mutant, tests, covered, 0.0) if tests else None


def _plan_cold(mutant: Mutant, covered: Coverage) -> _Trial:
    tests = covered.tests_of_package(mutant.package, BUDGET_SECONDS)
    return _plan(mutant, tests, covered, _IMPORT_SECONDS)


def _plan(mutant: Mutant, tests: Sequence[str], covered: Coverage, extra: float) -> _Trial:
    seconds = sum(covered.tests[name]["seconds"] for name in tests)
    return _Trial(mutant=mutant, tests=tuple(tests), cpu_seconds=10.0 + extra + 5.0 * seconds)


def _judge(end: End[_Trial]) -> Verdict:
    if end.error or end.cut:
        raise RuntimeError(f"{end.task.mutant}: {end.error or 'cut off'}")
    return Verdict(mutant=end.task.mutant, noticed_by=end.value["noticed_by"], cut=end.value["cut"])


def _examine(trial: _Trial, attempt: _Attempt) -> dict[str, object]:
    """Tries the tests in a fork. What fails without the mutant too, on a busy machine, has noticed nothing."""
    tests = trial.tests
    while tests:
        end = _fork(trial, attempt, trial.mutant, tests)
        if end.cut:
            return {"noticed_by": "", "cut": True}
        if end.error:
            raise RuntimeError(end.error)
        if not end.value:
            break
        if _fork(trial, attempt, None, [end.value]) == End(task=trial):
            return {"noticed_by": end.value, "cut": False}
        tests = tests[tests.index(end.value) + 1 :]
    return {"noticed_by": "", "cut": False}


def _fork(trial: _Trial, attempt: _Attempt, mutant: Mutant | None, tests: Sequence[str]) -> End[_Trial]:
    return next(
        run_forked(
            [trial], lambda _: attempt(mutant, tests), jobs=1, cpu_seconds=lambda trial: trial.cpu_seconds, nested=True
        )
    )


def _try_all_warm(
    trials: Sequence[_Trial], items: Sequence[pytest.Item], jobs: int, tell: Callable[[Verdict], None]
) -> None:
    by_name = {item.nodeid: item for item in items}
    functions = _Functions()

    def attempt(mutant: Mutant | None, tests: Sequence[str]) -> str | None:
        if mutant is not None:
            functions.change(mutant)
        return first_failure([by_name[name] for name in tests])

    gc.freeze()
    for end in run_forked(trials, lambda trial: _examine(trial, attempt), jobs=jobs):
        tell(_judge(end))


def _attempt_cold(mutant: Mutant | None, tests: Sequence[str]) -> str | None:
    if mutant is not None:
        _import_as(str(ROOT / mutant.path), mutant.source())
    for file, names in groupby(tests, key=lambda name: name.partition("::")[0]):
        failed = _first_failure_in(file, list(names))
        if failed is not None:
            return failed
    return None


def _import_as(path: str, source: str) -> None:
    original = SourceFileLoader.get_code

    def get_code(self: SourceFileLoader, fullname: str) -> CodeType | None:
        return compile(source, path, "exec") if self.path == path else original(self, fullname)

    SourceFileLoader.get_code = get_code  # ty: ignore[invalid-assignment]


def _first_failure_in(file: str, names: Sequence[str]) -> str | None:
    failed: list[str | None] = [names[0]]  # for a file that cannot be collected

    def work(items: Sequence[pytest.Item]) -> None:
        by_name = {item.nodeid: item for item in items}
        missing = [name for name in names if name not in by_name]
        failed[0] = missing[0] if missing else first_failure([by_name[name] for name in names])

    run_instead(work, [file])
    return failed[0]


class _Functions:
    """Every function there is, by the file it was written in."""

    def __init__(self) -> None:
        self._by_file: dict[str, list[FunctionType]] = {}
        for found in gc.get_objects():
            if type(found) is FunctionType:
                self._by_file.setdefault(found.__code__.co_filename, []).append(found)

    def change(self, mutant: Mutant) -> None:
        """Gives a function, and all that were made by it, its new code."""
        path = str(ROOT / mutant.path)
        if mutant.function is None:
            raise LookupError(mutant)
        old, new = _codes(mutant, mutant.function)
        changed = dict(_pairs(old, new))
        hit = [found for found in self._by_file[path] if found.__code__ in changed]
        if not any(found.__code__ == old for found in hit):
            raise LookupError(f"{mutant.path}: no function {mutant.function}")
        for found in hit:
            if found.__code__.co_freevars == changed[found.__code__].co_freevars:
                found.__code__ = changed[found.__code__]


def _same_shape(mutant: Mutant) -> bool:
    """Whether the function can take its new code in place."""
    old, new = _codes(mutant, mutant.function) if mutant.function else (None, None)
    return old is not None and new is not None and old.co_freevars == new.co_freevars


def _codes(mutant: Mutant, function: tuple[str, int]) -> tuple[CodeType, CodeType]:
    path = str(ROOT / mutant.path)
    before = compile((ROOT / mutant.path).read_text(encoding="utf-8"), path, "exec")
    return _find_code(before, function), _find_code(compile(mutant.source(), path, "exec"), function)


def _find_code(module: CodeType, function: tuple[str, int]) -> CodeType:
    return next(code for code in _walk(module) if (code.co_name, code.co_firstlineno) == function)


def _walk(code: CodeType) -> Iterator[CodeType]:
    yield code
    for found in code.co_consts:
        if isinstance(found, CodeType):
            yield from _walk(found)


def _pairs(old: CodeType, new: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    yield old, new
    inner = ([found for found in code.co_consts if isinstance(found, CodeType)] for code in (old, new))
    for before, after in zip_longest(*inner):
        if before is not None and after is not None and before.co_name == after.co_name:
            yield from _pairs(before, after)
