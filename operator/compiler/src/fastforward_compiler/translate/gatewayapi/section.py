"""Listeners of a Gateway, its own and those of its ListenerSets: which can be used, and what they take.

In: a Gateway, its ListenerSets, Secrets. Out: Sections, in order of precedence, each with what is wrong with it. Called
by gateway, by whatever attaches to listeners and by report. The first of two that can't both be is the one that counts;
of two in the same object neither is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple, Protocol, TypeVar

from fastforward_crds import gatewayapi

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells, Index, Rule
from fastforward_compiler.problem import ObjectRef
from fastforward_compiler.translate.certificate import AUTHORITIES, CERTIFICATE, Unusable
from fastforward_compiler.translate.edge import PROBES, covers
from fastforward_compiler.translate.reference import is_permitted
from fastforward_compiler.translate.world import (
    EDGES,
    FETCHED,
    GATEWAY_CLASSES,
    GATEWAY_PORT_CLAIMS,
    GATEWAYS,
    LISTENER_SETS,
    NAMESPACES,
    PORT_CLAIMS,
    SETS_OF,
    TCP,
    age,
    identity,
    ref_of,
    transport_of,
    why_first,
)

from .parameters import PROXIES

ADDRESSES = "gateway:"
"""With the name of a Gateway behind it, where among fetched documents the addresses are that it was given; alone, that
Gateways are given addresses. One without listens nowhere, unless it says `listen`: then addresses lead to proxies that
have a network of their own."""
ANY_HOST = "*"
INSECURE = "AllowInsecureFallback"
"""Mode in which clients need no certificate, or one that nobody vouches for."""
ACCEPTED, RESOLVED_REFS, CONFLICTED = "Accepted", "ResolvedRefs", "Conflicted"
_KINDS = {
    "HTTP": ("HTTPRoute", "GRPCRoute"),
    "HTTPS": ("HTTPRoute", "GRPCRoute"),
    "TLS": ("TLSRoute",),
    "TCP": ("TCPRoute",),
    "UDP": ("UDPRoute",),
}
_FAMILIES = {"HTTP": "HTTP", "HTTPS": "TLS", "TLS": "TLS", "TCP": "TCP", "UDP": "UDP"}
"""Protocols of one family can share a port, told apart by host or server name."""
_WITHOUT_HOSTS = ("TCP", "UDP")


SectionKey = tuple[str, str, str]
"""Kind and name of the owner, name of the listener: unique in its Gateway."""


class Fault(NamedTuple):
    """Why one condition of a listener does not hold (or, of Conflicted, does)."""

    type: str
    reason: str
    message: str


class Section(NamedTuple):
    """One listener."""

    owner: ObjectRef
    """The Gateway or ListenerSet that lists it."""
    name: str
    port: int
    protocol: str
    hostname: str
    kinds: tuple[str, ...]
    namespaces: gatewayapi.Namespaces
    certificates: tuple[ir.Certificate, ...]
    ends_tls: bool
    client_ca: bytes
    """Authorities of clients' certificates; empty when none is asked for."""
    client_optional: bool
    faults: tuple[Fault, ...]

    @property
    def key(self) -> SectionKey:
        """Unique in its Gateway."""
        return self.owner.kind, f"{self.owner.namespace}/{self.owner.name}", self.name

    @property
    def is_accepted(self) -> bool:
        """Whether it takes part."""
        return not any(fault.type in (ACCEPTED, CONFLICTED) for fault in self.faults)

    @property
    def serves(self) -> bool:
        """Whether it has all that it needs: TLS without a certificate must not fall back to clear text."""
        return self.is_accepted and (not self.ends_tls or bool(self.certificates))

    @property
    def transport(self) -> str:
        """TCP or UDP: the same number is two ports."""
        return transport_of(self.protocol)

    @property
    def is_http(self) -> bool:
        """Whether requests are looked at."""
        return self.protocol in ("HTTP", "HTTPS")


class HasHostname(Protocol):
    """A listener as whoever asks for hosts knows it."""

    @property
    def hostname(self) -> str:
        """Its host name, ANY_HOST where it has none."""
        ...


Listener = TypeVar("Listener", bound=HasHostname)


def owner_of(listeners: Iterable[Listener], host: str) -> Listener | None:
    """The one of a port's listeners that a host belongs to: it has the narrowest host name that covers the host."""
    covering = [each for each in listeners if covers(each.hostname, host)]
    return max(covering, key=lambda each: (each.hostname == host, len(each.hostname)), default=None)


class Sections(NamedTuple):
    """All listeners of a Gateway, and which of its ListenerSets may not take part."""

    listed: tuple[Section, ...]
    refused: tuple[str, ...]


def selects(cells: Cells, namespaces: gatewayapi.Namespaces, own: str, namespace: str) -> bool:
    """Whether objects of `namespace` are meant by the selection of an object in the namespace `own`."""
    match namespaces.from_:
        case "All":
            return True
        case "Same":
            return namespace == own
        case "Selector":
            found = cells.read(NAMESPACES, f"/{namespace}")
            labels = {} if found is None else found.metadata.labels
            return namespaces.selector.selects({"kubernetes.io/metadata.name": namespace, **labels})
        case _:
            return False


def _is_ours(cells: Cells, name: str) -> bool:
    found = cells.read(GATEWAY_CLASSES, f"/{name}")
    return found is not None and found.spec.controller_name == gatewayapi.CONTROLLER


def _make_sections(cells: Cells, name: str) -> Sections | None:
    """None of a Gateway that is not there, or not ours."""
    gateway = cells.read(GATEWAYS, name)
    if gateway is None or not cells.read(OURS, _class_of(gateway)):
        return None
    frontend = gateway.spec.tls.frontend
    made = [_make(cells, ref_of("Gateway", name), listener, frontend) for listener in gateway.spec.listeners]
    refused = []
    found = ((owner, cells.read(LISTENER_SETS, owner)) for owner in cells.read(SETS_OF, name))
    for owner, listeners in sorted(found, key=lambda pair: age(pair[1])):
        if listeners is None or not _takes(cells, gateway, owner):
            refused.append(owner)
        else:
            made += [_make(cells, ref_of("ListenerSet", owner), each, frontend) for each in listeners.spec.listeners]
    ports = {(section.port, section.transport) for section in made}
    owners = {port: _owner_of_port(cells, name, *port) for port in ports}
    made = [_without_port(section, owners[section.port, section.transport]) for section in made]
    return Sections(tuple(_without_conflicts(made)), tuple(refused))


def _takes(cells: Cells, gateway: gatewayapi.Gateway, listener_set: str) -> bool:
    """Whether ListenerSets of that one's namespace are a Gateway's too."""
    namespaces = gateway.spec.allowed_listeners.namespaces
    return selects(cells, namespaces, gateway.metadata.namespace, listener_set.partition("/")[0])


def _owner_of_port(cells: Cells, name: str, port: int, transport: str) -> str:
    """Who else has the port, where the proxy is one and the same; empty when nobody has.

    What the pods of proxies need themselves comes first, then an Edge, and of Gateways the oldest.
    """
    if (port, transport) == (ir.PROBE_PORT, TCP):
        proxies = cells.read(PROXIES, name)
        if isinstance(proxies, ir.Proxies) and proxies.managed:
            return PROBES
    if cells.read(FETCHED, ADDRESSES) is not None:
        return ""
    edges = [edge for edge in cells.read(PORT_CLAIMS, port) if transport == TCP or _speaks_http3(cells, edge, port)]
    if edges:
        return f"Edge {min(edges)}"
    claims = ((cells.read(GATEWAYS, other), owner) for other, owner in cells.read(GATEWAY_PORT_CLAIMS, port, transport))
    ours = (
        other
        for other, owner in claims
        if other is not None and cells.read(OURS, _class_of(other)) and (not owner or _takes(cells, other, owner))
    )
    first = min(ours, key=age, default=None)
    if first is None or identity(first) == name:
        return ""
    return f"Gateway {identity(first)}, {why_first(first, cells.read(GATEWAYS, name))}"


def _speaks_http3(cells: Cells, edge: str, port: int) -> bool:
    found = cells.read(EDGES, edge)
    return found is not None and any(each.http3 for each in found.spec.listeners if each.port == port)


def _class_of(gateway: gatewayapi.Gateway) -> str:
    return gateway.spec.gateway_class_name


def _without_port(section: Section, owner: str) -> Section:
    if not owner:
        return section
    message = f"Port {section.port} belongs to {owner}."
    return section._replace(faults=(*section.faults, Fault(ACCEPTED, "PortUnavailable", message)))


def _make(
    cells: Cells, owner: ObjectRef, listener: gatewayapi.GatewayListener, frontend: gatewayapi.Frontend
) -> Section:
    faults: list[Fault] = []
    possible = _KINDS.get(listener.protocol, ())
    if not possible:
        message = f"Protocol {listener.protocol} is not supported here."
        faults.append(Fault(ACCEPTED, "UnsupportedProtocol", message))
    passes = listener.protocol == "TLS" and listener.tls is not None and listener.tls.mode == "Passthrough"
    ends_tls = listener.protocol in ("HTTPS", "TLS") and not passes
    validation = validation_on(frontend, listener.port) if listener.protocol == "HTTPS" else None
    return Section(
        owner=owner,
        name=listener.name,
        port=listener.port,
        protocol=listener.protocol,
        hostname=listener.hostname or ANY_HOST,
        kinds=tuple(_kinds(listener, possible, faults)),
        namespaces=listener.allowed_routes.namespaces,
        certificates=tuple(_certificates(cells, owner, listener, faults)) if ends_tls else (),
        ends_tls=ends_tls,
        client_ca=_client_authorities(cells, owner, validation, faults) if validation is not None else b"",
        client_optional=validation is not None and validation.mode == INSECURE,
        faults=tuple(faults),
    )


def _kinds(listener: gatewayapi.GatewayListener, possible: tuple[str, ...], faults: list[Fault]) -> Iterator[str]:
    asked = listener.allowed_routes.kinds
    if not asked:
        yield from possible
        return
    for each in asked:
        if each.group == gatewayapi.GROUP and each.kind in possible:
            yield each.kind
        else:
            message = f"A listener for {listener.protocol} takes no {each.kind} of group {each.group or 'core'}."
            faults.append(Fault(RESOLVED_REFS, "InvalidRouteKinds", message))


def _certificates(
    cells: Cells, owner: ObjectRef, listener: gatewayapi.GatewayListener, faults: list[Fault]
) -> Iterator[ir.Certificate]:
    tls = listener.tls
    if tls is None or tls.mode != "Terminate":
        message = f"A listener for {listener.protocol} needs tls with mode Terminate."
        faults.append(Fault(ACCEPTED, "UnsupportedValue", message))
        return
    if not tls.certificate_refs:
        faults.append(Fault(RESOLVED_REFS, "InvalidCertificateRef", "To end TLS a listener needs certificateRefs."))
    for ref in tls.certificate_refs:
        found = resolve_certificate(cells, owner, ref)
        if isinstance(found, Fault):
            faults.append(found)
        else:
            yield found


def resolve_certificate(cells: Cells, owner: ObjectRef, ref: gatewayapi.ObjectRef) -> ir.Certificate | Fault:
    """The certificate that a Gateway or ListenerSet refers to."""
    name = f"{ref.namespace or owner.namespace}/{ref.name}"
    if (ref.group, ref.kind) != ("", "Secret"):
        message = f"{ref.kind} {name} of group {ref.group or 'core'} is no Secret."
        return Fault(RESOLVED_REFS, "InvalidCertificateRef", message)
    if not is_permitted(cells, kind=owner.kind, namespace=owner.namespace, to_kind="Secret", to=name):
        message = f"Secret {name} is in another namespace, and no ReferenceGrant there permits it."
        return Fault(RESOLVED_REFS, "RefNotPermitted", message)
    found = cells.read(CERTIFICATE, name)
    if isinstance(found, Unusable):
        return Fault(RESOLVED_REFS, "InvalidCertificateRef", found.message)
    return found


def validation_on(frontend: gatewayapi.Frontend, port: int) -> gatewayapi.ClientValidation | None:
    """What clients must prove on a port: what is said of it, or else of all."""
    own = [each.tls for each in frontend.per_port if each.port == port]
    return (own[0] if own else frontend.default).validation


def _client_authorities(
    cells: Cells, owner: ObjectRef, validation: gatewayapi.ClientValidation, faults: list[Fault]
) -> bytes:
    found = [_resolve_authorities(cells, owner, ref) for ref in validation.ca_certificate_refs]
    faults.extend(each for each in found if isinstance(each, Fault))
    bundle = b"".join(each.rstrip() + b"\n" for each in found if isinstance(each, bytes))
    if not bundle:
        message = "No authority of clients' certificates can be used."
        faults.append(Fault(ACCEPTED, "NoValidCACertificate", message))
    return bundle


def _resolve_authorities(cells: Cells, owner: ObjectRef, ref: gatewayapi.ObjectRef) -> bytes | Fault:
    name = f"{ref.namespace or owner.namespace}/{ref.name}"
    if ref.group or ref.kind not in ("ConfigMap", "Secret"):
        message = f"{ref.kind} {name} of group {ref.group or 'core'} holds no authorities; a ConfigMap does."
        return Fault(RESOLVED_REFS, "InvalidCACertificateKind", message)
    if not is_permitted(cells, kind=owner.kind, namespace=owner.namespace, to_kind=ref.kind, to=name):
        message = f"{ref.kind} {name} is in another namespace, and no ReferenceGrant there permits it."
        return Fault(RESOLVED_REFS, "RefNotPermitted", message)
    found = cells.read(AUTHORITIES, ref.kind, name)
    return Fault(RESOLVED_REFS, "InvalidCACertificateRef", found.message) if isinstance(found, Unusable) else found


def _without_conflicts(sections: Iterable[Section]) -> Iterator[Section]:
    """The same, with what conflicts marked: with one of an object before, or else with one of the same object."""
    before: list[Section] = []
    for _, group in groupby(sections, key=lambda section: section.owner):
        judged = [_marked(section, before) for section in group]
        left = [section for section in judged if section.is_accepted]
        judged = [_marked(section, [other for other in left if other is not section]) for section in judged]
        before += [section for section in judged if section.is_accepted]
        yield from judged


def _marked(section: Section, others: Iterable[Section]) -> Section:
    fault = next((found for other in others if (found := _conflict(section, other)) is not None), None)
    if fault is None:
        return section
    return section._replace(faults=(*section.faults, Fault(ACCEPTED, fault.reason, fault.message), fault))


def _conflict(section: Section, other: Section) -> Fault | None:
    if (section.port, section.transport) != (other.port, other.transport):
        return None
    if not section.is_accepted or not other.is_accepted:
        return None
    whose = f"listener {other.name}" + (f" of {other.owner}" if other.owner != section.owner else "")
    if _FAMILIES[section.protocol] != _FAMILIES[other.protocol]:
        message = f"Port {section.port} has protocol {other.protocol} in {whose}."
        return Fault(CONFLICTED, "ProtocolConflict", message)
    if section.hostname == other.hostname or section.protocol in _WITHOUT_HOSTS:
        host = section.hostname if section.hostname != ANY_HOST else "no host name"
        message = f"Port {section.port} with {host} belongs to {whose}."
        return Fault(CONFLICTED, "HostnameConflict", message)
    return None


def label(section: Section) -> str:
    """What the proxy calls it: its name, which of a Gateway's own listeners is enough."""
    kind, owner, name = section.key
    return name if kind == "Gateway" else f"{owner}/{name}"


ATTACHED: Index[tuple[str, str]] = Index("routes by listener")
"""(Gateway, kind of owner, owner, listener) -> (kind, route)."""
OURS: Rule[bool] = Rule("ours", _is_ours)
"""(name of a GatewayClass)."""
SECTIONS: Rule[Sections | None] = Rule("sections", _make_sections)
"""(Gateway)."""
