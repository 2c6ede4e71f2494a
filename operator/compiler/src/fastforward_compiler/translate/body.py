"""What a rule asks of bodies, to `ir.Body` and `ir.ResponseBody`.

In: `body` and `responseBody` of a RouteRule. Out: the fields of the rule's entries that it makes, and Problems. Called by rule.
"""

from __future__ import annotations

from typing import Any

import fastforward_crds as crds

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells
from fastforward_compiler.problem import ObjectRef, Problem

from .schema import resolve_schema


def translate_body(
    cells: Cells, on: ObjectRef, field: str, body: crds.BodyRules, problems: list[Problem]
) -> dict[str, Any]:
    """Without its schema there is a Problem, and nothing unchecked goes where something was to be checked."""
    schema = resolve_schema(cells, on, f"{field}.schema", body.schema_, "JSONSchema", problems)
    if schema is not None:
        return {"body": ir.Body(schema=schema, max_bytes=body.max_bytes, shadow=body.shadow)}
    return {} if body.shadow else {"destination": ir.Unavailable(reason="The schema of the body is not there.")}


def translate_response_body(
    cells: Cells, on: ObjectRef, field: str, body: crds.ResponseBodyRules, problems: list[Problem]
) -> dict[str, Any]:
    """The same for what upstreams answer."""
    schema = resolve_schema(cells, on, f"{field}.schema", body.schema_, "JSONSchema", problems)
    if schema is not None:
        made = ir.ResponseBody(schema=schema, max_bytes=body.max_bytes, shadow=body.shadow)
        return {"response_body": made}
    return {} if body.shadow else {"destination": ir.Unavailable(reason="The schema of the answer is not there.")}
