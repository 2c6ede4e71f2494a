"""What conditions say, in words: pure functions of problems, verdicts and names.

In: Problems, Verdicts, who is waited for. Out: what a condition says. Called by status.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fastforward_compiler import ir
from fastforward_compiler.problem import ConditionType, Problem

from .xds.ledger import KeyState
from .xds.store import SHARED

Said = tuple[str, str, str, str]
"""Type, status, reason and message of a condition."""
PODS_APPLIED = "PodsApplied"
"""Condition of what has pods; there only while they can't be made."""
_MAX_NAMED = 5


def of_problems(kind: ConditionType, reported: Iterable[Problem]) -> Said:
    """True unless there is a problem of its kind."""
    problems = [problem for problem in reported if problem.condition is kind]
    if not problems:
        return kind, "True", kind.value, ""
    return kind, "False", problems[0].reason, sentences(problem.message for problem in problems)


def overruled(said: Said, verdicts: Iterable[ir.Verdict]) -> Said:
    """What the compiler says of a condition in its own words goes before what follows from Problems and proxies."""
    for verdict in verdicts:
        if verdict.type == said[0]:
            return verdict.type, "True" if verdict.holds else "False", verdict.reason, verdict.message
    return said


def further(verdicts: Iterable[ir.Verdict], fault: str) -> Iterator[Said]:
    """Conditions that only some objects have; `fault`: why pods can't be made."""
    for verdict in verdicts:
        if verdict.type not in list(ConditionType):
            yield verdict.type, "True" if verdict.holds else "False", verdict.reason, verdict.message
    if fault:
        yield PODS_APPLIED, "False", "ApplyFailed", f"What it needs in the cluster can't be made: {fault}."


def without_proxies(fleets: Iterable[str]) -> str:
    """That nobody is there to be programmed."""
    named = [fleet for fleet in fleets if fleet != SHARED]
    return f"No proxy of Edge {' and '.join(named)} is connected." if named else "No proxy is connected."


def who_is_missing(states: Iterable[KeyState]) -> str:
    """Whom it waits for."""
    names = sorted({name for state in states for name in state.waiting if name != ""})
    if not names:
        return "It is on its way to the proxies."
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return f"Waiting for {', '.join(names[:_MAX_NAMED])}{more}."


def sentences(parts: Iterable[str]) -> str:
    """Each once."""
    return " ".join(dict.fromkeys(parts))
