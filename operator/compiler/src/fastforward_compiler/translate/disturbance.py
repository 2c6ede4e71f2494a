"""Mirrors and faults of a rule.

In: parts of a RouteRule. Out: their IR values, and Problems. Called by rule. A copy that nobody can take is left out
and told, and the requests themselves are served; a fault whose condition can't be judged makes its rule invalid.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import fastforward_crds as crds

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells
from fastforward_compiler.problem import ObjectRef, Problem, Reason, problem

from .expression import fault_of_regex
from .reference import target
from .texts import translate_texts
from .upstream import resolve_upstream


def translate_mirrors(
    cells: Cells, on: ObjectRef, field: str, mirrors: Sequence[crds.MirrorTo], problems: list[Problem]
) -> tuple[ir.Mirror, ...]:
    """Who gets copies, once each."""
    found: dict[str, ir.Mirror] = {}
    for place, mirror in enumerate(mirrors):
        name = target(mirror, on.namespace)
        if resolve_upstream(cells, on, f"{field}[{place}]", name, problems) is not None:
            found.setdefault(name, ir.Mirror(upstream=name, numerator=mirror.percent, denominator=100))
    return tuple(found.values())


def translate_fault(on: ObjectRef, field: str, fault: crds.Fault, problems: list[Problem]) -> ir.Fault | None:
    """What is put in; None, with Problems, when it is not clear into which requests."""
    faults = list(_faults(on, field, fault))
    if faults:
        problems.extend(faults)
        return None
    delay, abort = fault.delay, fault.abort
    return ir.Fault(
        delay_ms=crds.milliseconds(delay.duration) if delay is not None else 0,
        delay_percent=delay.percent if delay is not None else 0,
        abort_status=abort.status if abort is not None else 0,
        abort_percent=abort.percent if abort is not None else 0,
        headers=translate_texts(fault.headers, lower=True),
    )


def _faults(on: ObjectRef, field: str, fault: crds.Fault) -> Iterator[Problem]:
    for place, text in enumerate(fault.headers):
        if text.type == "Regex" and (why := fault_of_regex(text.value)):
            message = f"The regular expression is refused: {why}."
            yield problem(on, Reason.REGEX_INVALID, f"{field}.headers[{place}].value", message)
