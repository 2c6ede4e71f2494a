"""`authorization.external` of an AuthPolicy to `ir.External`: a service that is asked whether requests may pass.

In: the field, the Upstream that it names. Out: its IR value, or a Problem. Called by authpolicy.
"""

from __future__ import annotations

import fastforward_crds as crds

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells
from fastforward_compiler.problem import ObjectRef, Problem, Reason, problem

from .reference import target
from .upstream import fault_of_asking, resolve_upstream

_FIELD = "spec.authorization.external"


def translate_external(
    cells: Cells, on: ObjectRef, external: crds.External, problems: list[Problem]
) -> ir.External | None:
    """What is asked; None, with a Problem, where nobody can be."""
    name, field = target(external.upstream, on.namespace), f"{_FIELD}.upstream"
    traits = resolve_upstream(cells, on, field, name, problems)
    if traits is None:
        return None
    if fault := fault_of_asking(traits):
        problems.append(problem(on, Reason.INVALID, field, f"Upstream {name} can't be asked: {fault}"))
        return None
    return ir.External(
        upstream=name,
        path=external.path,
        append_path=external.append_path,
        request_headers=tuple(sorted({header.lower() for header in external.request_headers})),
        answer_headers=tuple(sorted({header.lower() for header in external.answer_headers})),
        timeout_ms=crds.milliseconds(external.timeout),
        opa=external.protocol == "OPA",
        fail_open=external.on_failure == "Open",
    )
