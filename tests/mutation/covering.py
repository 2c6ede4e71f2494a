"""Which tests run which lines, and how long each takes: the tests that could notice a mutant, quick ones first.

In: the tests. Out: `Coverage`. Called by __main__. Kept in .cache/mutation by file of tests; a file is run again when
it, what it shares with others or any source has changed.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TypedDict

import coverage
import pytest

from support.repository import PACKAGES, ROOT, python_sources

from .pool import run_forked
from .session import OWN_TESTS, TESTS, passes, run_instead

CACHE = ROOT / ".cache" / "mutation"


class Ran(TypedDict):
    """What a test did: CPU seconds, and the lines it ran by path from the root. A property draws its examples."""

    seconds: float
    is_property: bool
    lines: dict[str, list[int]]


@dataclass(frozen=True, slots=True)
class Coverage:
    """What each test, by its id, did, and which lines of which module run when all are imported."""

    tests: Mapping[str, Ran]
    at_import: Mapping[str, frozenset[int]]

    def tests_of(self, path: str, lines: Iterable[int]) -> list[str]:
        """The tests that run any of these lines, quick ones first."""
        wanted = frozenset(lines)
        return self.by_speed(
            name for name, ran in self.tests.items() if not wanted.isdisjoint(ran["lines"].get(path, ()))
        )

    def tests_of_package(self, folder: str, seconds: float) -> list[str]:
        """The tests of a package, the quick ones of them within a budget, file by file, quick files first."""
        own = tuple(f"{tests}/" for tests in OWN_TESTS[folder])
        by_file: dict[str, list[str]] = defaultdict(list)
        for name in self.within(self.by_speed(name for name in self.tests if name.startswith(own)), seconds):
            by_file[name.partition("::")[0]].append(name)
        files = sorted(by_file.values(), key=lambda names: sum(self.tests[name]["seconds"] for name in names))
        return [name for names in files for name in names]

    def runs_at_import(self, path: str, lines: Iterable[int]) -> bool:
        """Whether importing the module is enough to run any of these lines."""
        return not self.at_import.get(path, frozenset()).isdisjoint(lines)

    def by_speed(self, names: Iterable[str]) -> list[str]:
        """These tests, quick ones first, but properties last: an example says at once what it wants."""
        return sorted(names, key=lambda name: (self.tests[name]["is_property"], self.tests[name]["seconds"], name))

    def within(self, names: Sequence[str], seconds: float) -> list[str]:
        """As many of these tests, from the first, as a budget of CPU time allows; at least one."""
        return list(_affordable(names, self.tests, seconds))


def _affordable(names: Sequence[str], tests: Mapping[str, Ran], seconds: float) -> Iterator[str]:
    spent = 0.0
    for index, name in enumerate(names):
        spent += tests[name]["seconds"]
        if index and spent > seconds:
            return
        yield name


def measure_coverage(jobs: int) -> Coverage:
    """Runs every file of tests that is not in the cache under measurement. A test that fails ends it all."""
    CACHE.mkdir(parents=True, exist_ok=True)
    shared = _hash(_sources(), b"")
    files = [path for folder in TESTS for path in sorted((ROOT / folder).glob("**/test_*.py"))]
    kept = {str(path.relative_to(ROOT)): CACHE / f"{_key(path, shared)}.json" for path in files}
    missing = [name for name, cached in kept.items() if not cached.exists()]
    if missing:
        for old in set(CACHE.glob("*.json")) - set(kept.values()):
            old.unlink()
        for end in run_forked([kept], lambda todo: _measure(missing, todo, jobs), jobs=1):
            if end.error or end.cut:
                raise SystemExit(end.error or "The measurement was cut off.")
    tests: dict[str, Ran] = {}
    for cached in kept.values():
        tests.update(json.loads(cached.read_text(encoding="utf-8")))
    (end,) = run_forked([_own_modules()], _lines_at_import, jobs=1)
    if end.error or end.cut:
        raise SystemExit(end.error or "The imports were cut off.")
    return Coverage(tests, {path: frozenset(lines) for path, lines in end.value.items()})


def _own_modules() -> list[str]:
    paths = [path.relative_to(ROOT / each.src) for each in PACKAGES if each.pure for path in python_sources(each)]
    return [".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in paths]


def _lines_at_import(modules: Sequence[str]) -> dict[str, list[int]]:
    measured = _measurement()
    measured.start()
    for name in modules:
        importlib.import_module(name)
    measured.stop()
    data = measured.get_data()
    return {str(Path(path).relative_to(ROOT)): data.lines(path) or [] for path in data.measured_files()}


def _measurement() -> coverage.Coverage:
    include = [str(ROOT / package.src / "*") for package in PACKAGES if package.pure]
    return coverage.Coverage(data_file=None, config_file=False, include=include)


def _measure(files: list[str], kept: Mapping[str, Path], jobs: int) -> None:
    def work(items: Sequence[pytest.Item]) -> None:
        by_file = [list(group) for _, group in groupby(items, key=lambda item: item.nodeid.partition("::")[0])]
        for end in run_forked(by_file, _measure_file, jobs=jobs, nested=True):
            if end.error or end.cut:
                raise SystemExit(end.error or f"{end.task[0].nodeid}: cut off")
            kept[end.task[0].nodeid.partition("::")[0]].write_text(json.dumps(end.value), encoding="utf-8")

    code = run_instead(work, files)
    if code:
        raise SystemExit(f"pytest ended with {code}")


def _measure_file(items: Sequence[pytest.Item]) -> dict[str, Ran]:
    measured = _measurement()
    seconds: dict[str, float] = {}
    measured.start()
    for item, following in zip(items, [*items[1:], None], strict=True):
        measured.switch_context(item.nodeid)
        before = sum(os.times()[:4])
        if not passes(item, following):
            raise SystemExit(f"{item.nodeid} fails without any mutant.")
        seconds[item.nodeid] = sum(os.times()[:4]) - before
    measured.stop()
    properties = {item.nodeid for item in items if "hypothesis" in item.keywords}
    return _by_test(measured.get_data(), seconds, properties)


def _by_test(data: coverage.CoverageData, seconds: Mapping[str, float], properties: set[str]) -> dict[str, Ran]:
    lines: dict[str, dict[str, list[int]]] = {name: defaultdict(list) for name in seconds}
    for path in data.measured_files():
        for line, names in data.contexts_by_lineno(path).items():
            for name in filter(None, names):
                lines[name][str(Path(path).relative_to(ROOT))].append(line)
    return {name: Ran(seconds=seconds[name], is_property=name in properties, lines=lines[name]) for name in seconds}


def _key(path: Path, shared: str) -> str:
    beside = sorted((ROOT / "tests" / "corpus").glob("*/*/*")) if path.parent.name == "corpus" else []
    return _hash([path, *path.parent.glob("conftest.py"), *beside], shared.encode())


def _sources() -> list[Path]:
    pure = [path for package in PACKAGES if package.pure for path in sorted((ROOT / package.src).rglob("*.py"))]
    return [*pure, *sorted((ROOT / "tests" / "support").glob("*.py"))]


def _hash(paths: Iterable[Path], start: bytes) -> str:
    found = hashlib.sha256(start)
    for path in paths:
        found.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return found.hexdigest()[:32]
