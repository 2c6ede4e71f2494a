"""What is to be said of objects of Gateway API. Called by the report of all kinds; nothing of what is not ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from fastforward_crds import gatewayapi

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells
from fastforward_compiler.problem import ObjectRef, Problem, Reason, problem
from fastforward_compiler.translate.world import GATEWAY_CLASSES, LISTENER_SETS

from .attachment import idle_verdicts
from .backend import backend_name
from .backendtlspolicy import tell_policy
from .gateway import GATEWAY, GatewayTranslation, gateway_edge, section_problems, set_verdicts
from .grpcroute import GRPC_ROUTE
from .httproute import HTTP_ROUTE
from .parameters import CLASS_PARAMETERS
from .section import ACCEPTED, ATTACHED, CONFLICTED, RESOLVED_REFS, SECTIONS, Section
from .spread import RouteTranslation
from .streamroute import TCP_ROUTE, TLS_ROUTE, UDP_ROUTE, StreamTranslation
from .table import scope_name


class Told(NamedTuple):
    """All that is said of one object."""

    problems: tuple[Problem, ...] = ()
    outputs: frozenset[ir.Output] = frozenset()
    effective: tuple[str, ...] = ()
    """Policies of ours that are in force."""
    verdicts: tuple[ir.Verdict, ...] = ()
    parts: tuple[ir.Part, ...] = ()
    addresses: tuple[str, ...] = ()
    attached_sets: int = 0


_WHY_PENDING = {
    "AddressNotAssigned": "No address is left for it, or nobody has given its Service one yet.",
    "AddressNotUsable": "An address that it asks for can't be had.",
    "Invalid": "None of its listeners can be served.",
}
"""By the reason of Programmed."""


def _tell_class(cells: Cells, on: ObjectRef, name: str) -> Told | None:
    found = cells.read(GATEWAY_CLASSES, name)
    if found is None or found.spec.controller_name != gatewayapi.CONTROLLER:
        return None
    fault = cells.read(CLASS_PARAMETERS, on.name).fault
    return Told(problems=(problem(on, Reason.INVALID_PARAMETERS, "spec.parametersRef", fault),) if fault else ())


def _tell_gateway(cells: Cells, on: ObjectRef, name: str) -> Told | None:
    translation = cells.read(GATEWAY, name)
    if translation is None or translation.edge is None:
        return None
    own = [section for section in translation.sections if section.owner == on]
    sets = {section.owner for section in translation.sections if section.owner != on and section.is_accepted}
    verdicts = translation.verdicts
    if translation.pending:
        why = _WHY_PENDING.get(translation.pending, "")
        verdicts = (*verdicts, ir.Verdict(type="Programmed", holds=False, reason=translation.pending, message=why))
    return Told(
        problems=translation.problems,
        outputs=frozenset({("edge", gateway_edge(name))}),
        verdicts=verdicts,
        parts=tuple(_tell_section(cells, name, translation, section) for section in own),
        addresses=translation.addresses,
        attached_sets=len(sets),
    )


def _tell_section(cells: Cells, gateway: str, translation: GatewayTranslation, section: Section) -> ir.Part:
    return ir.Part(
        place=(("name", section.name),),
        verdicts=tuple(_section_verdicts(section)),
        kinds=section.kinds,
        attached=len(cells.read(ATTACHED, gateway, *section.key)),
        serves=section.serves and translation.edge is not None and bool(translation.edge.listeners),
    )


def _section_verdicts(section: Section) -> Iterator[ir.Verdict]:
    for kind, good in ((ACCEPTED, True), (CONFLICTED, False), (RESOLVED_REFS, True)):
        faults = [fault for fault in section.faults if fault.type == kind]
        if faults:
            message = " ".join(dict.fromkeys(fault.message for fault in faults))
            yield ir.Verdict(type=kind, holds=not good, reason=faults[0].reason, message=message)
        else:
            yield ir.Verdict(type=kind, holds=good, reason=kind if good else "NoConflicts")


def _tell_set(cells: Cells, on: ObjectRef, name: str) -> Told | None:
    listeners = cells.read(LISTENER_SETS, name)
    if listeners is None:
        return None
    parent = listeners.spec.parent_ref
    gateway = f"{parent.namespace or on.namespace}/{parent.name}"
    found, translation = cells.read(SECTIONS, gateway), cells.read(GATEWAY, gateway)
    if found is None or translation is None:
        return None
    if name in found.refused:
        message = f"Gateway {gateway} takes no ListenerSets of namespace {on.namespace} (allowedListeners)."
        return Told(problems=(problem(on, Reason.NOT_ALLOWED, "spec.parentRef", message),))
    own = [section for section in found.listed if section.owner == on]
    problems = section_problems(on, own)
    verdicts = set_verdicts(own, problems)
    return Told(
        problems=tuple(problems),
        outputs=frozenset({("edge", gateway_edge(gateway))}),
        verdicts=tuple(verdicts),
        parts=tuple(_tell_section(cells, gateway, translation, section) for section in own),
    )


def _tell_route(translation: RouteTranslation | None) -> Told | None:
    if translation is None or not translation.parents:
        return None
    outputs: set[ir.Output] = {("upstream", backend_name(key)) for key in translation.backends}
    for spread in translation.spreads:
        outputs.add(("edge", gateway_edge(spread.gateway)))
        for host in spread.hosts:
            name = scope_name(spread.place, host)
            outputs.update((("scope", name), ("table", f"{name}#")))
        for piece in spread.pieces:
            outputs.update(("limit", limit) for limit in piece.plain.limits)
            if piece.needs.auth:
                outputs.add(("auth", piece.needs.auth))
    return Told(
        problems=translation.problems,
        outputs=frozenset(outputs),
        effective=translation.effective,
        verdicts=tuple(idle_verdicts(translation.parents)),
        parts=translation.parts,
    )


def _tell_stream(translation: StreamTranslation | None) -> Told | None:
    if translation is None or not translation.parents:
        return None
    outputs: set[ir.Output] = {("upstream", backend_name(key)) for key in translation.backends}
    outputs |= {("edge", gateway_edge(binding.gateway)) for binding in translation.bindings}
    return Told(
        problems=translation.problems,
        outputs=frozenset(outputs),
        verdicts=tuple(idle_verdicts(translation.parents)),
        parts=translation.parts,
    )


def _tell_policy(cells: Cells, on: ObjectRef, name: str) -> Told | None:
    told = tell_policy(cells, on, name)
    if told is None:
        return None
    outputs = frozenset(("upstream", upstream) for upstream in told.upstreams)
    return Told(problems=told.problems, outputs=outputs, parts=told.parts)


TELLERS: Mapping[str, Callable[[Cells, ObjectRef, str], Told | None]] = {
    "GatewayClass": _tell_class,
    "Gateway": _tell_gateway,
    "ListenerSet": _tell_set,
    "HTTPRoute": lambda cells, _, name: _tell_route(cells.read(HTTP_ROUTE, name)),
    "TLSRoute": lambda cells, _, name: _tell_stream(cells.read(TLS_ROUTE, name)),
    "TCPRoute": lambda cells, _, name: _tell_stream(cells.read(TCP_ROUTE, name)),
    "UDPRoute": lambda cells, _, name: _tell_stream(cells.read(UDP_ROUTE, name)),
    "BackendTLSPolicy": _tell_policy,
    "GRPCRoute": lambda cells, _, name: _tell_route(cells.read(GRPC_ROUTE, name)),
}
"""By kind; None for what is not ours."""
