"""What a rule makes of requests in JSON, to `ir.Transcoding`.

In: `transcode` of a RouteRule, a Schema. Out: the fields of the rule's entries that it makes, and Problems. Called by
rule and route; SERVICES keeps an edit of other versions from the rules. What can't be done answers 500: JSON is never
sent to an upstream that waits for calls.
"""

from __future__ import annotations

from typing import Any

import fastforward_crds as crds

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells, Rule
from fastforward_compiler.problem import ObjectRef, Problem, Reason, problem

from .document.httprule import Called, Fault, read_services
from .schema import SCHEMA, resolve_schema


def _read_services(
    cells: Cells,
    schema: str,
    version: str,
    names: tuple[str, ...],
    all_methods: bool,
) -> Called | Fault | None:
    translation = cells.read(SCHEMA, schema)
    found = translation.schema if translation is not None else None
    for each in found.versions if found is not None and found.format == "Protobuf" else ():
        if each.name == version:
            return read_services(each.document, names, all_methods=all_methods)
    return None


def translate_transcode(
    cells: Cells,
    on: ObjectRef,
    field: str,
    said: crds.Transcode,
    destination: ir.Destination,
    problems: list[Problem],
) -> dict[str, Any]:
    """Fields of the rule's entries; with a Problem they answer 500."""
    schema = resolve_schema(cells, on, f"{field}.schema", said.schema_, "Protobuf", problems)
    if schema is None:
        return _unavailable("The schema of the calls is not there.")
    if isinstance(destination, ir.Unavailable):
        return {}
    if not ir.speaks_grpc(destination):
        message = "The rule's upstreams speak no gRPC: nothing can be made a call for them."
        problems.append(problem(on, Reason.UNSUPPORTED_VALUE, field, message))
        return _unavailable(message)
    found = cells.read(SERVICES, schema.schema, schema.version, said.services, said.all_methods)
    if not isinstance(found, Called):
        at, message = found or Fault(None, f"Schema {schema.schema} has no version {schema.version}.")
        where = f"{field}.schema" if at is None else f"{field}.services[{at}]"
        problems.append(problem(on, Reason.UNSUPPORTED_VALUE, where, message))
        return _unavailable(message)
    printing = said.printing
    made = ir.Transcoding(
        schema=schema.schema,
        version=schema.version,
        descriptors=found.descriptors,
        services=found.services,
        all_methods=said.all_methods,
        rejects_unknown_query=said.unknown_query == "Reject",
        ignored_query=said.ignored_query,
        max_bytes=said.max_bytes,
        proto_names=printing.names == "Proto",
        writes_defaults=printing.defaults,
        enum_numbers=printing.enums == "Numbers",
        stream=printing.stream,
    )
    return {"transcoding": made}


def keep_from(edge: str, on: ObjectRef, field: str, problems: list[Problem]) -> dict[str, Any]:
    """Fields of the rule's entries on an Edge whose proxies can't do it."""
    message = f"Edge {edge} has no `grpc.transcoding`: its proxies make no calls of JSON."
    problems.append(problem(on, Reason.UNSUPPORTED_VALUE, field, message))
    return {"transcoding": None, **_unavailable(message)}


def _unavailable(why: str) -> dict[str, Any]:
    return {"destination": ir.Unavailable(reason=why)}


SERVICES: Rule[Called | Fault | None] = Rule("services of a schema", _read_services)
"""(Schema, version, names, whether all methods)."""
