"""Edge to `ir.Edge`: who owns which host and port, which certificates there are, and what Routes need to know.

In: an Edge, the Edges that claim the same hosts or ports, TLS Secrets. Out: its IR value and Problems; VIEW for Routes,
SETTINGS for scopes. Called by compile. The oldest claim wins; the loser is told who won.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from typing import NamedTuple

import fastforward_crds as crds

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells, Rule
from fastforward_compiler.problem import Problem, Reason, problem

from .addresslist import FAULTS, USABLE, list_problems, surplus_problems
from .answers import translate_compression, translate_security_headers
from .authorities import find_authorities
from .certificate import CERTIFICATE, Unusable
from .concurrency import translate_concurrency
from .networks import plain_network
from .reference import is_permitted, target
from .workload import translate_pods
from .world import EDGES, ENDS_ON, HOST_CLAIMS, PORT_CLAIMS, age, ref_of, why_first

PROBES = "the probes of the pods that proxies run in"
"""Who has ir.PROBE_PORT where the operator runs these pods."""
NO_ADMISSION = ir.Admission()
NONE: frozenset[str] = frozenset()


class EdgeTranslation(NamedTuple):
    """An Edge and what is wrong with it."""

    edge: ir.Edge
    problems: tuple[Problem, ...]


class Listeners(NamedTuple):
    """Those that can be served, and the ports that the Service keeps for those that can't."""

    served: tuple[ir.Listener, ...]
    held_ports: tuple[tuple[int, str], ...]


class View(NamedTuple):
    """What Routes must know of an Edge: a new certificate or timeout leaves it as it is."""

    name: str
    namespace: str
    hosts: tuple[str, ...]
    listeners: frozenset[str]
    route_namespaces: frozenset[str] | None
    """Namespaces whose Routes may attach; None for all."""
    admission: ir.Admission
    has_tenant_header: bool
    grpc_web: bool
    grpc_transcoding: bool


class Settings(NamedTuple):
    """What scopes and tables carry of an Edge: when it changes, they are emitted again."""

    region: str
    api_version_header: str
    api_version_default: str
    tenant_header: str
    trusted_addresses: tuple[str, ...]
    trusted_hop_count: int


def translate_admission(admission: crds.Admission, edge: str) -> ir.Admission:
    """Stage 2 settings on an Edge, whose lists they are; every default is one and the same value."""
    if not admission.model_fields_set:
        return NO_ADMISSION
    made = ir.Admission(
        allow_addresses=_networks(admission.allow_addresses),
        deny_addresses=_networks(admission.deny_addresses),
        allow_lists=tuple(f"{edge}|{each}" for each in (*admission.allow_lists, *admission.allow_countries)),
        deny_lists=tuple(f"{edge}|{each}" for each in (*admission.deny_lists, *admission.deny_countries)),
        max_body_bytes=admission.max_body_bytes,
        content_types=admission.content_types,
    )
    if made == NO_ADMISSION:
        return NO_ADMISSION
    return replace(made, shadow=True) if admission.shadow else made


def listed(cells: Cells, admission: ir.Admission) -> ir.Admission:
    """The same; its lists are made."""
    for name in (*admission.allow_lists, *admission.deny_lists):
        cells.read(USABLE, *name.rsplit("|", 1))
    return admission


def _networks(texts: Iterable[str]) -> tuple[str, ...]:
    """As everybody writes them, so that no two readers can differ: `10.1.2.3/8` is `10.0.0.0/8`."""
    return tuple(str(plain_network(text)) for text in texts)


def covers(owned: str, host: str) -> bool:
    """Whether `owned` contains `host`; both may be wildcards, `*.a` contains `*.b.a` and `x.a`, not `a`."""
    if owned in ("*", host):
        return True
    return owned.startswith("*.") and host.endswith(owned[1:])


def _translate_edge(cells: Cells, name: str) -> EdgeTranslation | None:
    edge = cells.read(EDGES, name)
    if edge is None:
        return None
    spec, limits, timeouts = edge.spec, edge.spec.limits, edge.spec.timeouts
    hosts, problems = _own_hosts(cells, name, edge)
    listeners = _translate_listeners(cells, name, edge, problems)
    traefik = _translate_traefik(spec, hosts)
    problems += cells.read(FAULTS, name)
    problems += list_problems(cells, ref_of("Edge", name), name, spec.admission)
    problems += surplus_problems(cells, ref_of("Edge", name), name, spec)
    value = ir.Edge(
        name=name,
        hosts=hosts,
        listeners=listeners.served,
        held_ports=listeners.held_ports,
        region=spec.region or "",
        trusted_hop_count=spec.trusted_hops.count + (traefik is not None),
        traefik=traefik,
        trusted_addresses=_networks(spec.trusted_hops.addresses),
        tenant_header=(spec.trusted_hops.tenant_header or "").lower(),
        api_version_header=spec.api_versions.header.lower(),
        api_version_default=spec.api_versions.default or "",
        max_header_bytes=limits.max_header_bytes,
        max_headers=limits.max_headers,
        max_connections=limits.max_connections,
        max_concurrent_streams=limits.max_concurrent_streams,
        max_requests_per_connection=limits.max_requests_per_connection,
        request_headers_timeout_ms=crds.milliseconds(timeouts.request_headers),
        stream_idle_timeout_ms=crds.milliseconds(timeouts.stream_idle),
        connection_idle_timeout_ms=crds.milliseconds(timeouts.connection_idle),
        access_log=spec.access_log,
        compression=translate_compression(spec.compression),
        security_headers=translate_security_headers(spec.security_headers),
        adaptive_concurrency=translate_concurrency(spec.adaptive_concurrency),
        has_lists=bool(spec.address_lists) or spec.countries is not None,
        grpc_web=spec.grpc.web,
        grpc_transcoding=spec.grpc.transcoding,
        proxies=translate_proxies(spec.proxies, edge.metadata.namespace, direct=traefik is None),
        tells_ends=bool(cells.read(ENDS_ON, name)),
    )
    return EdgeTranslation(value, tuple(problems))


def _translate_traefik(spec: crds.EdgeSpec, own: tuple[str, ...]) -> ir.Traefik | None:
    """Only what the Edge owns is handed on: another Edge may have been first."""
    said = spec.front.traefik
    if said is None:
        return None
    wanted = [
        (f"{protocol}.{host}" if protocol else host, protocol)
        for host in spec.hosts
        for protocol in ((said.protocols or ("",)) if "*" not in host else ("",))
    ]
    return ir.Traefik(
        addresses=_networks(said.addresses),
        hosts=tuple((host, protocol) for host, protocol in dict(wanted).items() if host in own),
        plain=said.entry_points.plain,
        secure=said.entry_points.secure,
        terminates=said.tls == "Terminate",
    )


def translate_proxies(proxies: crds.Proxies, namespace: str, *, direct: bool) -> ir.Proxies:
    """With something in front they have no address of their own outside the cluster."""
    service = proxies.service
    return ir.Proxies(
        managed=proxies.mode == "Managed",
        pods=translate_pods(proxies.replicas, proxies.resources),
        service_type=service.type if direct else "ClusterIP",
        load_balancer_class=service.load_balancer_class or "",
        external_traffic_policy=service.external_traffic_policy,
        annotations=tuple(sorted((each.name, each.value) for each in service.annotations)),
        decision=target(proxies.decision, namespace) if proxies.decision is not None else "",
    )


def _own_hosts(cells: Cells, name: str, edge: crds.Edge) -> tuple[tuple[str, ...], list[Problem]]:
    own, problems = [], []
    for place, host in edge.spec.own_hosts:
        winner = _oldest(cells, cells.read(HOST_CLAIMS, host))
        if winner == name:
            own.append(host)
            continue
        message = f"Host {host} belongs to Edge {winner}, {why_first(cells.read(EDGES, winner), edge)}."
        problems.append(problem(ref_of("Edge", name), Reason.HOST_CONFLICT, f"spec.hosts[{place}]", message))
    return tuple(dict.fromkeys(own)), problems


def _oldest(cells: Cells, claimants: Iterable[str]) -> str:
    names = list(claimants)
    return names[0] if len(names) == 1 else min(names, key=lambda name: age(cells.read(EDGES, name)))


def _translate_listeners(cells: Cells, name: str, edge: crds.Edge, problems: list[Problem]) -> Listeners:
    made: dict[int, ir.Listener] = {}
    held: dict[int, tuple[tuple[int, str], ...]] = {}
    for place, listener in enumerate(edge.spec.listeners):
        winner = _oldest(cells, cells.read(PORT_CLAIMS, listener.port) or (name,))
        reserved = listener.port == ir.PROBE_PORT and edge.spec.proxies.mode == "Managed"
        if reserved or winner != name or listener.port in made:
            if reserved:
                whose = PROBES
            elif winner == name:
                whose = f"listener {made[listener.port].name}"
            else:
                whose = f"Edge {winner}, {why_first(cells.read(EDGES, winner), edge)}"
            message = f"Port {listener.port} belongs to {whose}."
            field = f"spec.listeners[{place}].port"
            problems.append(problem(ref_of("Edge", name), Reason.LISTENER_CONFLICT, field, message))
            continue
        value = _translate_listener(cells, name, place, listener, problems)
        if value is not None:
            made[listener.port] = value
        transports = ("TCP", "UDP") if listener.http3 else ("TCP",)
        held[listener.port] = tuple((listener.port, transport) for transport in transports)
    passed_through = edge.spec.front.traefik is not None
    listeners = tuple(made.values())
    if passed_through:
        listeners = tuple(replace(each, proxy_protocol=bool(each.certificates)) for each in listeners)
    return Listeners(listeners, tuple(chain.from_iterable(held.values())) if held.keys() != made.keys() else ())


def _translate_listener(
    cells: Cells, name: str, place: int, listener: crds.Listener, problems: list[Problem]
) -> ir.Listener | None:
    """None for a TLS listener without any certificate left: it must not fall back to clear text.

    The same for one that can't tell which clients to let in.
    """
    plain = ir.Listener(name=listener.name, port=listener.port, proxy_protocol=listener.proxy_protocol)
    if listener.tls is None:
        return plain
    field = f"spec.listeners[{place}].tls"
    before = len(problems)
    clients = listener.tls.clients
    authorities = b""
    if clients is not None:
        named = f"{field}.clients.authorities"
        authorities = find_authorities(cells, ref_of("Edge", name), named, clients.authorities, problems)
        if len(problems) > before:
            return None
    certificates: list[ir.Certificate] = []
    taken: set[str] = set()
    for index, ref in enumerate(listener.tls.certificates):
        found = _resolve_certificate(cells, name, ref)
        if isinstance(found, Unusable):
            problems.append(
                problem(ref_of("Edge", name), found.reason, f"{field}.certificates[{index}]", found.message)
            )
            continue
        # A server name leads to one certificate: the first that has it.
        hosts = tuple(host for host in found.hosts if host not in taken)
        taken.update(hosts)
        if hosts:
            certificates.append(ir.Certificate(name=found.name, hosts=hosts, chain=found.chain, key=found.key))
    if not certificates:
        return None
    return replace(
        plain,
        certificates=tuple(certificates),
        min_tls=listener.tls.min_version,
        http3=listener.http3,
        client_ca=authorities,
        client_optional=clients is not None and clients.mode == "Optional",
    )


def _resolve_certificate(cells: Cells, edge: str, ref: crds.Ref) -> ir.Certificate | Unusable:
    namespace = edge.partition("/")[0]
    name = target(ref, namespace)
    if not is_permitted(cells, kind="Edge", namespace=namespace, to_kind="Secret", to=name):
        message = f"Secret {name} is in another namespace, and no ReferenceGrant there permits it."
        return Unusable(Reason.REF_NOT_PERMITTED, message)
    found = cells.read(CERTIFICATE, name)
    if isinstance(found, ir.Certificate) and not found.hosts:
        return Unusable(Reason.SECRET_INVALID, f"Secret {name}: the certificate names no host.")
    return found


def _make_view(cells: Cells, name: str) -> View | None:
    edge = cells.read(EDGES, name)
    if edge is None:
        return None
    spec, namespace = edge.spec, edge.metadata.namespace
    admitted = {"Same": frozenset({namespace}), "All": None}
    return View(
        name=name,
        namespace=namespace,
        hosts=_own_hosts(cells, name, edge)[0],
        listeners=frozenset(listener.name for listener in spec.listeners),
        route_namespaces=admitted.get(spec.route_namespaces.from_, frozenset(spec.route_namespaces.names)),
        admission=listed(cells, translate_admission(spec.admission, name)),
        has_tenant_header=spec.trusted_hops.tenant_header is not None,
        grpc_web=spec.grpc.web,
        grpc_transcoding=spec.grpc.transcoding,
    )


def _find_served(cells: Cells, name: str) -> frozenset[str]:
    translation = cells.read(EDGE, name)
    return frozenset(listener.name for listener in translation.edge.listeners) if translation is not None else NONE


def _make_settings(cells: Cells, name: str) -> Settings | None:
    translation = cells.read(EDGE, name)
    if translation is None:
        return None
    edge = translation.edge
    return Settings(
        region=edge.region,
        api_version_header=edge.api_version_header,
        api_version_default=edge.api_version_default,
        tenant_header=edge.tenant_header,
        trusted_addresses=edge.trusted_addresses,
        trusted_hop_count=edge.trusted_hop_count,
    )


EDGE: Rule[EdgeTranslation | None] = Rule("edge", _translate_edge, root=True, counted=True)
VIEW: Rule[View | None] = Rule("edge view", _make_view)
SERVED: Rule[frozenset[str]] = Rule("served listeners", _find_served)
"""(Edge) -> names of the listeners that can be served."""
SETTINGS: Rule[Settings | None] = Rule("edge settings", _make_settings)
