"""Destinations inside the data plane: messages, and adapters that find operations in requests.

In: the destination of a RouteRule. Out: its IR value and Problems. Called by rule. What names something broken answers
500.
"""

from __future__ import annotations

import fastforward_crds as crds

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells
from fastforward_compiler.problem import ObjectRef, Problem, Reason, problem

from .reference import target
from .schema import resolve_schema
from .upstream import fault_of_messages, resolve_upstream
from .workload import TAKER

_CONTENT = "JSONSchema"
_FORMATS = {"GraphQL": "GraphQL", "GRPC": "Protobuf"}
"""By protocol, in which operations are written."""


def translate_message(
    cells: Cells, on: ObjectRef, field: str, message: crds.MessageDispatch, problems: list[Problem]
) -> tuple[ir.Destination, tuple[str, ...]]:
    """The destination, and the Upstreams that it names."""
    name, gather = "", None
    names: tuple[str, ...] = ()
    if message.upstream is not None:
        name = target(message.upstream, on.namespace)
        fault = _fault_of_taker(cells, on, f"{field}.upstream", name, problems)
        if fault:
            return ir.Unavailable(reason=fault), ()
        names = (name,)
    if message.gather is not None:
        gather = _translate_gather(cells, on, f"{field}.gather", message.gather, problems)
        sound = [upstream for upstream, _ in gather.parts if upstream]
        if len(sound) < gather.require:
            return ir.Unavailable(reason="Too few of the upstreams take messages."), ()
        names = tuple(dict.fromkeys(sound))
    schemas: dict[str, ir.SchemaRef] = {}
    for part, ref in (("request", message.request), ("reply", message.reply)):
        if ref is not None:
            found = resolve_schema(cells, on, f"{field}.{part}", ref, _CONTENT, problems)
            if found is None:
                # Nothing unchecked goes where something was to be checked.
                return ir.Unavailable(reason=f"The schema of the {part} is not there."), ()
            schemas[part] = found
    made = ir.MessageDispatch(
        type=message.type,
        upstream=name,
        delivery=message.delivery,
        event=message.event or "",
        request=schemas.get("request"),
        reply=schemas.get("reply"),
        unknown_fields=message.unknown_fields,
        key_required=message.idempotency == "Required",
        gather=gather,
        ingress=cells.read(TAKER, on.namespace, "REST"),
    )
    return made, (*names, made.ingress) if made.ingress else names


def _fault_of_taker(cells: Cells, on: ObjectRef, field: str, name: str, problems: list[Problem]) -> str:
    """Why no message can go there; empty when one can."""
    traits = resolve_upstream(cells, on, field, name, problems)
    if traits is None:
        return f"Upstream {name} is not there."
    fault = fault_of_messages(name, traits)
    if fault:
        problems.append(problem(on, Reason.INVALID, field, fault))
    return fault


def _translate_gather(
    cells: Cells, on: ObjectRef, field: str, gather: crds.Gather, problems: list[Problem]
) -> ir.Gather:
    """The group. A part whose Upstream takes no messages names none: it never answers, and counts as such."""
    parts: list[tuple[str, str]] = []
    for place, each in enumerate(gather.upstreams):
        name = target(each, on.namespace)
        fault = _fault_of_taker(cells, on, f"{field}.upstreams[{place}]", name, problems)
        parts.append(("" if fault else name, each.as_))
    return ir.Gather(
        parts=tuple(parts),
        deadline_ms=0 if gather.deadline is None else crds.milliseconds(gather.deadline),
        require={"All": len(parts), "Any": 1}.get(gather.require) or gather.least or 1,
    )


def translate_adapter(
    cells: Cells, on: ObjectRef, field: str, adapter: crds.AdapterDispatch, problems: list[Problem]
) -> tuple[ir.Destination, tuple[str, ...]]:
    """The destination, and the Upstream that has the adapter."""
    schema = None
    if adapter.schema_ is not None:
        format_ = _FORMATS[adapter.protocol]
        schema = resolve_schema(cells, on, f"{field}.schema", adapter.schema_, format_, problems)
        if schema is None:
            return ir.Unavailable(reason="The schema of the operations is not there."), ()
    ingress = cells.read(TAKER, on.namespace, adapter.protocol)
    made = ir.AdapterDispatch(
        protocol=adapter.protocol,
        schema=schema,
        host=adapter.host or "",
        graphql=_translate_limits(adapter.graphql) if adapter.protocol == "GraphQL" else None,
        origins=adapter.origins,
        ingress=ingress,
    )
    return made, (ingress,) if ingress else ()


def _translate_limits(limits: crds.GraphqlLimits | None) -> ir.GraphqlLimits:
    said = limits or crds.GraphqlLimits()
    return ir.GraphqlLimits(
        depth=said.depth,
        complexity=said.complexity,
        aliases=said.aliases,
        batch=said.batch,
        page_size=said.page_size,
        introspection=said.introspection,
    )
