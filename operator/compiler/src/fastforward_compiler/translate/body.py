"""What a rule asks of bodies, to `ir.Body`.

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
    for name, said, what, rules in (
        ("body", "body", "body", rule.body),
        ("response_body", "responseBody", "answer", rule.response_body),
    ):
        if rules is None:
            continue
        schema = resolve_schema(cells, on, f"{field}.{said}.schema", rules.schema_, "JSONSchema", problems)
        if schema is not None:
            fields[name] = ir.Body(schema=schema, max_bytes=rules.max_bytes, shadow=rules.shadow)
        elif not rules.shadow:
            fields["destination"] = ir.Unavailable(reason=f"The schema of the {what} is not there.")
    return fields
