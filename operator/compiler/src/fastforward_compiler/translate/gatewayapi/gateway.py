"""Gateway to `ir.Edge`: its listeners by port, its addresses.

In: a Gateway, its Sections, the addresses that it was given. Out: its IR value and Problems; PLACES for tables. Called
by compile. Listeners that share a port are one listener of the proxy: hosts tell them apart, and over TLS server names.
A number is one port of TCP and one of UDP.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from fastforward_crds import gatewayapi

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells, Gift, Index, Rule
from fastforward_compiler.problem import ConditionType, ObjectRef, Problem, Reason, problem
from fastforward_compiler.translate.world import ENDS_ON, FETCHED, GATEWAYS, UDP, ref_of

from .backendtlspolicy import CLIENT_CERTIFICATE
from .parameters import PROXIES
from .section import ACCEPTED, ADDRESSES, ANY_HOST, RESOLVED_REFS, SECTIONS, Fault, Section, label
from .streamroute import REFUSED, STREAMS, Bound

_INSECURE = "InsecureFrontendValidationMode"


class GatewayTranslation(NamedTuple):
    """A Gateway and what is wrong with it; nothing, of one that is not ours."""

    edge: ir.Edge | None = None
    sections: tuple[Section, ...] = ()
    problems: tuple[Problem, ...] = ()
    verdicts: tuple[ir.Verdict, ...] = ()
    addresses: tuple[str, ...] = ()
    pending: str = ""
    """Why it can't be programmed yet: a reason of Gateway API; empty when nothing is missing."""


class Host(NamedTuple):
    """A host name that a listener has on a port."""

    hostname: str
    section: tuple[str, str, str]
    label: str
    """What the proxy calls the listener."""


class Place(NamedTuple):
    """One port of a Gateway, whose hosts are its own."""

    edge: str
    hosts: tuple[Host, ...]
    scheme: str
    port: int


def gateway_edge(name: str) -> str:
    """The name of a Gateway's Edge: none of ours can have it."""
    return name + ir.GATEWAY


def place_of(gateway: str, port: int) -> str:
    """What the scopes of a port are called by."""
    return f"{gateway_edge(gateway)}@{port}"


def _translate_gateway(cells: Cells, name: str) -> GatewayTranslation | None:
    gateway, found = cells.read(GATEWAYS, name), cells.read(SECTIONS, name)
    if gateway is None:
        return None
    if found is None:
        return GatewayTranslation()
    problems = cells.read(PROBLEMS, name)
    given = _given_addresses(cells, name)
    own = [section for section in found.listed if section.owner == ref_of("Gateway", name)]
    proxies = cells.read(PROXIES, name)
    serving = [section for section in found.listed if section.serves]
    listens = not _is_refused(problems) and (given.addresses != () or given.listens)
    streams = cells.read(STREAMS, name)
    listeners = tuple(_listeners(name, serving, streams)) if listens else ()
    edge = ir.Edge(
        name=gateway_edge(name),
        hosts=(),
        listeners=listeners,
        held_ports=_held_ports(found.listed, listeners) if listens else (),
        addresses=given.own,
        proxies=ir.DEFAULT_PROXIES if isinstance(proxies, Problem) else proxies,
        tells_ends=bool(cells.read(ENDS_ON, gateway_edge(name))),
        upstreams=tuple(sorted({share.upstream for bound in streams for share in bound.stream.shares} - {REFUSED})),
    )
    return GatewayTranslation(
        edge=edge,
        sections=found.listed,
        problems=problems,
        verdicts=(*set_verdicts(own, problems), *_insecurity(own)),
        addresses=given.addresses or (),
        pending=given.pending or ("" if serving else "Invalid"),
    )


def _find_problems(cells: Cells, name: str) -> tuple[Problem, ...]:
    """What is wrong with a Gateway of ours."""
    gateway, found = cells.read(GATEWAYS, name), cells.read(SECTIONS, name)
    if gateway is None or found is None:
        return ()
    on = ref_of("Gateway", name)
    own = [section for section in found.listed if section.owner == on]
    proxies = cells.read(PROXIES, name)
    return (
        *_address_problems(on, gateway),
        *section_problems(on, own),
        *_client_problems(cells, on),
        *([proxies] if isinstance(proxies, Problem) else []),
    )


def _is_refused(problems: Iterable[Problem]) -> bool:
    """Whether a Gateway listens nowhere, whatever others may add to it."""
    return any(each.condition is ConditionType.ACCEPTED for each in problems)


class _Given(NamedTuple):
    """`addresses` is None where Gateways are given none, and listen wherever the proxy may."""

    addresses: tuple[str, ...] | None
    pending: str = ""
    listens: bool = False
    """Also without an address."""
    own: tuple[str, ...] = ()
    """Those that are for the proxies to take; by others the cluster leads there, which may be host names."""


def _given_addresses(cells: Cells, name: str) -> _Given:
    told = cells.read(FETCHED, ADDRESSES)
    if told is None:
        return _Given(None)
    listens = bool(json.loads(told).get("listen"))
    body = cells.read(FETCHED, f"{ADDRESSES}{name}")
    given = json.loads(body) if body is not None else {}
    addresses = tuple(given.get("addresses", ()))
    pending = given.get("reason", "" if addresses else "AddressNotAssigned")
    return _Given(addresses, pending, listens, () if given.get("of") == "cluster" else addresses)


def _client_problems(cells: Cells, on: ObjectRef) -> Iterator[Problem]:
    found = cells.read(CLIENT_CERTIFICATE, f"{on.namespace}/{on.name}")
    if isinstance(found, Fault):
        permitted = found.reason != Reason.REF_NOT_PERMITTED
        reason = Reason.INVALID_CLIENT_CERTIFICATE_REF if permitted else Reason.REF_NOT_PERMITTED
        yield problem(on, reason, "spec.tls.backend.clientCertificateRef", found.message)


def _insecurity(sections: Iterable[Section]) -> Iterator[ir.Verdict]:
    """That clients may come without proof is told, though it was asked for."""
    if any(section.client_optional for section in sections):
        message = "Clients may come without a certificate, or with one that nobody vouches for."
        yield ir.Verdict(type=_INSECURE, holds=True, reason="ConfigurationChanged", message=message)


def _address_problems(on: ObjectRef, gateway: gatewayapi.Gateway) -> Iterator[Problem]:
    for place, address in enumerate(gateway.spec.addresses):
        if address.type != "IPAddress":
            message = f"Addresses of type {address.type} are not supported here."
            yield problem(on, Reason.UNSUPPORTED_ADDRESS, f"spec.addresses[{place}].type", message)


def section_problems(on: ObjectRef, sections: Sequence[Section]) -> list[Problem]:
    """What is wrong with the listeners that an object lists."""
    problems = []
    for place, section in enumerate(sections):
        for fault in section.faults:
            if fault.type in (ACCEPTED, RESOLVED_REFS):
                message = f"Listener {section.name}: {fault.message}"
                problems.append(problem(on, Reason.LISTENERS_NOT_RESOLVED, f"spec.listeners[{place}]", message))
    # A ListenerSet is there for its listeners alone; a Gateway may have others.
    usable = [section.serves if on.kind == "ListenerSet" else section.is_accepted for section in sections]
    if sections and not any(usable):
        message = "None of its listeners can be used."
        problems.append(problem(on, Reason.LISTENERS_NOT_VALID, "spec.listeners", message))
    return problems


def set_verdicts(sections: Iterable[Section], problems: Iterable[Problem]) -> Iterator[ir.Verdict]:
    """That an object is accepted although some of its listeners are not."""
    if any(each.condition is ConditionType.ACCEPTED for each in problems):
        return
    wrong = [section.name for section in sections if not section.is_accepted]
    if wrong:
        message = f"These listeners can't be used: {', '.join(wrong)}."
        yield ir.Verdict(type=ACCEPTED, holds=True, reason=str(Reason.LISTENERS_NOT_VALID), message=message)


def _listeners(name: str, sections: Iterable[Section], streams: Iterable[Bound]) -> Iterator[ir.Listener]:
    ports: dict[tuple[int, str], list[Section]] = {}
    for section in sections:
        ports.setdefault((section.port, section.transport), []).append(section)
    for (port, transport), sharing in sorted(ports.items()):
        named = f"udp-{port}" if transport == UDP else f"port-{port}"
        listener = ir.Listener(name=named, port=port, transport=transport, scope=place_of(name, port))
        bound = {section.key: [each for each in streams if each.section == section.key] for section in sharing}
        if sharing[0].protocol in ("TCP", "UDP"):
            found = bound[sharing[0].key]
            # Without a route there is nowhere to go: nobody listens.
            if found:
                yield replace(listener, stream=found[0].stream)
            continue
        chains = tuple(chain for section in sharing for chain in _chains(section, bound[section.key]))
        if chains:
            yield replace(listener, chains=chains)
        elif sharing[0].protocol == "HTTP":
            yield replace(listener, names=tuple(map(label, sharing)))


def _held_ports(sections: Iterable[Section], listeners: Iterable[ir.Listener]) -> tuple[tuple[int, str], ...]:
    """The ports that the Service keeps where not all are listened on: pods with other ports would be other pods."""
    held = sorted({(section.port, section.transport) for section in sections if section.is_accepted})
    listening = {(listener.port, listener.transport) for listener in listeners}
    return tuple(held) if listening != set(held) else ()


def _chains(section: Section, streams: Iterable[Bound]) -> Iterator[ir.Chain]:
    """One for HTTP over TLS; one for each server name that goes somewhere else."""
    if section.protocol == "HTTPS":
        yield ir.Chain(
            name=label(section),
            hosts=_server_names(section.hostname),
            certificates=section.certificates,
            client_ca=section.client_ca,
            client_optional=section.client_optional,
        )
    for bound in streams if section.protocol == "TLS" else ():
        yield ir.Chain(
            name=f"{label(section)}/{bound.host}",
            hosts=_server_names(bound.host),
            certificates=section.certificates,
            stream=bound.stream,
        )


def _server_names(host: str) -> tuple[str, ...]:
    return () if host == ANY_HOST else (host,)


def _make_place(cells: Cells, name: str) -> Place | None:
    """What tables of a port depend on; `name` is the place's."""
    edge, _, port = name.partition("@")
    gateway = edge.removesuffix(ir.GATEWAY)
    found = cells.read(SECTIONS, gateway)
    sections = found.listed if found is not None and not _is_refused(cells.read(PROBLEMS, gateway)) else ()
    listed = [each for each in sections if each.serves and each.is_http and each.port == int(port)]
    if not listed:
        return None
    hosts = tuple(Host(section.hostname, section.key, label(section)) for section in listed)
    return Place(edge, hosts, "https" if listed[0].protocol == "HTTPS" else "http", int(port))


def _gateway_gifts(translation: GatewayTranslation | None, name: str) -> Iterable[Gift]:
    for section in translation.sections if translation is not None else ():
        if section.serves and section.is_http:
            # A host that a listener has is no other listener's, though no route may be there.
            yield (HOSTS_AT, place_of(name, section.port), section.hostname), ("listener", *section.key)


HOSTS_AT: Index[tuple[str, ...]] = Index("hosts by place")
"""(place, host) -> who has it: listeners and routes."""
PROBLEMS: Rule[tuple[Problem, ...]] = Rule("problems of a gateway", _find_problems)
"""(Gateway)."""
GATEWAY: Rule[GatewayTranslation | None] = Rule(
    "gateway", _translate_gateway, gives=_gateway_gifts, root=True, counted=True
)
"""(Gateway)."""
PLACE: Rule[Place | None] = Rule("place", _make_place)
"""(place)."""
