"""pytest with other work in place of its loop: the tests are collected once, forks run what they need.

In: files of tests and the work. Out: nothing; the work keeps what it finds. Called by `covering` and `trial`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress

import hypothesis
import pytest
from _pytest.runner import runtestprotocol

from support.repository import ROOT

_COMPILED = ("tests/unit/compiler", "tests/unit/compiler_decision", "tests/unit/compiler_envoy", "tests/corpus")
OWN_TESTS = {
    "crds": ("tests/unit/crds",),
    "operator/compiler": _COMPILED,
    "dataplane/pipeline": ("tests/unit/pipeline",),
}
"""The folders of each package's tests. A function's mutant may be noticed by those of another package."""
TESTS = tuple(folder for folders in OWN_TESTS.values() for folder in folders)
_EXAMPLES = 40

Work = Callable[[Sequence[pytest.Item]], None]


class _Instead:
    def __init__(self, work: Work) -> None:
        self._work = work

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._work(session.items)
        return True


def run_instead(work: Work, files: Sequence[str] = TESTS) -> int:
    """Collects the tests of files or folders and hands them to `work`. Returns pytest's exit code."""
    os.chdir(ROOT)
    phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
    hypothesis.settings.register_profile(
        "mutation", database=None, derandomize=True, deadline=None, max_examples=_EXAMPLES, phases=phases
    )
    hypothesis.settings.load_profile("mutation")
    options = [
        "-q",
        "--assert=plain",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "-p",
        "no:cov",
        "-m",
        "not bench and not slow",
    ]
    return int(pytest.main([*options, *files], plugins=[_Instead(work)]))


def first_failure(items: Sequence[pytest.Item]) -> str | None:
    """Runs tests until one fails; its id, None when all pass."""
    for item, following in zip(items, [*items[1:], None], strict=True):
        if not passes(item, following):
            if following is not None:
                with suppress(Exception):
                    item.session._setupstate.teardown_exact(None)
            return item.nodeid
    return None


def passes(item: pytest.Item, following: pytest.Item | None) -> bool:
    """Runs one test; what `following` shares with it stays set up."""
    return not any(report.failed for report in runtestprotocol(item, log=False, nextitem=following))
