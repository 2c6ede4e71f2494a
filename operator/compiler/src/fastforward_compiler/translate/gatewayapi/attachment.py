"""Where a route attaches: at which listeners of which Gateways, with which hosts, and why not at others.

In: a route's references to parents, its host names. Out: a Parent for each reference to a Gateway of ours. Called by
the kinds of routes. Source: Gateway API, `ParentReference`, `HTTPRouteSpec.hostnames`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from fastforward_crds import gatewayapi

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells
from fastforward_compiler.problem import ObjectRef, Problem, Reason, problem
from fastforward_compiler.translate.edge import covers
from fastforward_compiler.translate.world import LISTENER_SETS

from .section import ANY_HOST, SECTIONS, Section, owner_of, selects

UNUSABLE = "No listener that it is on can be used."

_Met = tuple[Section, tuple[str, ...]]
"""A listener, and the hosts that it and a route have in common."""


class Attached(NamedTuple):
    """A listener that takes the route, and the hosts on which it does."""

    gateway: str
    section: Section
    hosts: tuple[str, ...]


class Parent(NamedTuple):
    """One reference to a parent."""

    place: tuple[tuple[str, str | int], ...]
    """The reference as it is written."""
    attached: tuple[Attached, ...]
    problem: Problem | None
    """Why it is not accepted there."""
    lost: str = ""
    """What is to be said of its hosts that other listeners have, where it is accepted with others."""

    @property
    def serves(self) -> bool:
        """Whether any of the listeners can be used."""
        return any(each.section.serves for each in self.attached)


def resolve_parents(
    cells: Cells, on: ObjectRef, refs: Iterable[gatewayapi.ParentRef], hostnames: tuple[str, ...]
) -> Iterator[Parent]:
    """Parents that are not ours are nobody's business here, and left out."""
    for place, ref in enumerate(refs):
        found = _sections_of(cells, on, ref)
        if found is None:
            continue
        gateway, sections, listed = found
        field = f"spec.parentRefs[{place}]"
        outcome = _attach(cells, on, field, ref, sections, hostnames)
        if isinstance(outcome, Problem):
            yield Parent(_written(ref), (), outcome)
            continue
        kept, lost = _without_lost(outcome, listed) if on.kind == "TLSRoute" else (outcome, "")
        refusal = problem(on, Reason.NO_MATCHING_LISTENER_HOSTNAME, field, lost) if not kept else None
        yield Parent(_written(ref), tuple(Attached(gateway, *each) for each in kept), refusal, lost)


def _without_lost(met: list[_Met], listed: Iterable[Section]) -> tuple[list[_Met], str]:
    """What is left where each host goes by its narrowest listener, and what is to be said of hosts that are lost so.

    For HTTP, tables see to that. Nobody looks into what TLSRoutes lead: there the server name is all, and Envoy refuses
    the whole port when two listeners have the same one.
    """
    accepted = [each for each in listed if each.is_accepted]
    kept, lost = [], dict[str, Section]()
    for section, hosts in met:
        sharing = [each for each in accepted if (each.port, each.transport) == (section.port, section.transport)]
        owners = {host: owner_of(sharing, host) for host in hosts} if section.is_accepted else {}
        elsewhere = {host: each for host, each in owners.items() if each is not None and each.key != section.key}
        own = tuple(host for host in hosts if host not in elsewhere)
        lost |= elsewhere
        if own:
            kept.append((section, own))
    had = {host for _, hosts in kept for host in hosts}
    told = (f"{host} belongs to listener {each.name} of {each.owner}" for host, each in lost.items() if host not in had)
    message = ", ".join(told)
    return kept, f"{message}: of a port's listeners the one with the narrowest host name has a host." if message else ""


def _sections_of(
    cells: Cells, on: ObjectRef, ref: gatewayapi.ParentRef
) -> tuple[str, list[Section], tuple[Section, ...]] | None:
    """The Gateway, the listeners that are meant, and all of its."""
    name = f"{ref.namespace or on.namespace}/{ref.name}"
    if ref.group != gatewayapi.GROUP or ref.kind not in ("Gateway", "ListenerSet"):
        return None
    gateway = name if ref.kind == "Gateway" else _gateway_of(cells, name)
    found = cells.read(SECTIONS, gateway) if gateway else None
    if found is None:
        return None
    owner = (ref.kind, name)
    return gateway, [section for section in found.listed if section.key[:2] == owner], found.listed


def _gateway_of(cells: Cells, name: str) -> str:
    found = cells.read(LISTENER_SETS, name)
    if found is None:
        return ""
    parent = found.spec.parent_ref
    return f"{parent.namespace or found.metadata.namespace}/{parent.name}"


def _attach(
    cells: Cells,
    on: ObjectRef,
    field: str,
    ref: gatewayapi.ParentRef,
    sections: list[Section],
    hostnames: tuple[str, ...],
) -> list[_Met] | Problem:
    """The listeners, step by step fewer; what leaves none is the reason."""
    named = [each for each in sections if ref.section_name in (None, each.name) and ref.port in (None, each.port)]
    if not named:
        asked = [f"name {ref.section_name}"] if ref.section_name is not None else []
        asked += [f"port {ref.port}"] if ref.port is not None else []
        message = f"{ref.kind} {ref.name} has no listener" + (f" of {' and '.join(asked)}." if asked else ".")
        return problem(on, Reason.NO_MATCHING_PARENT, field, message)
    allowed = [each for each in named if on.kind in each.kinds and _admits(cells, each, on.namespace)]
    if not allowed:
        message = f"{ref.kind} {ref.name} takes no {on.kind} of namespace {on.namespace} (allowedRoutes)."
        return problem(on, Reason.NOT_ALLOWED_BY_LISTENERS, field, message)
    met = [(each, hosts) for each in allowed if (hosts := meet(each.hostname, hostnames))]
    if not met:
        message = f"No host of this route is one of the listeners': {', '.join(each.hostname for each in allowed)}."
        return problem(on, Reason.NO_MATCHING_LISTENER_HOSTNAME, field, message)
    return met


def _admits(cells: Cells, section: Section, namespace: str) -> bool:
    return selects(cells, section.namespaces, section.owner.namespace, namespace)


def meet(hostname: str, hostnames: Iterable[str]) -> tuple[str, ...]:
    """The hosts that a listener and a route have in common: of two that meet, the narrower."""
    listed = tuple(hostnames) or (ANY_HOST,)
    narrower = (host if covers(hostname, host) else hostname for host in listed if _meets(hostname, host))
    return tuple(dict.fromkeys(narrower))


def _meets(one: str, other: str) -> bool:
    return covers(one, other) or covers(other, one)


def _written(ref: gatewayapi.ParentRef) -> tuple[tuple[str, str | int], ...]:
    fields: list[tuple[str, str | int]] = [("group", ref.group), ("kind", ref.kind), ("name", ref.name)]
    optional = (("namespace", ref.namespace), ("sectionName", ref.section_name), ("port", ref.port))
    return (*fields, *((name, value) for name, value in optional if value is not None))


def parts_of(parents: Iterable[Parent], problems: Iterable[Problem]) -> Iterator[ir.Part]:
    """What is said of the route at each parent: the parent's own problem, and those of its rules."""
    found = list(problems)
    for parent in parents:
        own = [parent.problem] if parent.problem is not None else []
        yield ir.Part(
            place=parent.place,
            verdicts=(_verdict("Accepted", [*own, *found], parent.lost), _verdict("ResolvedRefs", found)),
            serves=parent.serves,
        )


def idle_verdicts(parents: Iterable[Parent]) -> Iterator[ir.Verdict]:
    """That no proxy has a route that all its listeners take, where none of them can be used."""
    attached = [parent for parent in parents if parent.attached]
    if attached and not any(parent.serves for parent in attached):
        reason = str(Reason.LISTENERS_NOT_RESOLVED)
        yield ir.Verdict(type="Programmed", holds=False, reason=reason, message=UNUSABLE)


def _verdict(kind: str, problems: Iterable[Problem], otherwise: str = "") -> ir.Verdict:
    wrong = [each for each in problems if each.condition == kind]
    if not wrong:
        return ir.Verdict(type=kind, holds=True, reason=kind, message=otherwise)
    message = " ".join(dict.fromkeys(each.message for each in wrong))
    return ir.Verdict(type=kind, holds=False, reason=str(wrong[0].reason), message=message)
