"""What a rule asks of bodies, to `ir.Body` and `ir.ResponseBody`.

In: `body` and `responseBody` of a RouteRule. Out: the fields of its entries that it makes, and Problems. Called by
rule.
"""

from __future__ import annotations

from typing import Any

import fastforward_crds as crds

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells
from fastforward_compiler.problem import ObjectRef, Problem

from .schema import resolve_schema


def translate_bodies(
    cells: Cells, on: ObjectRef, field: str, rule: crds.RouteRule, problems: list[Problem]
) -> dict[str, Any]:
    """Without a schema there is a Problem, and nothing unchecked goes where something was to be checked."""
    fields: dict[str, Any] = {}
    if (body := rule.body) is not None:
        schema = resolve_schema(cells, on, f"{field}.body.schema", body.schema_, "JSONSchema", problems)
        if schema is not None:
            fields["body"] = ir.Body(schema=schema, max_bytes=body.max_bytes, shadow=body.shadow)
        elif not body.shadow:
            fields["destination"] = ir.Unavailable(reason="The schema of the body is not there.")
    if (answer := rule.response_body) is not None:
        schema = resolve_schema(cells, on, f"{field}.responseBody.schema", answer.schema_, "JSONSchema", problems)
        if schema is not None:
            made = ir.ResponseBody(schema=schema, max_bytes=answer.max_bytes, shadow=answer.shadow)
            fields["response_body"] = made
        elif not answer.shadow:
            fields["destination"] = ir.Unavailable(reason="The schema of the answer is not there.")
    return fields
