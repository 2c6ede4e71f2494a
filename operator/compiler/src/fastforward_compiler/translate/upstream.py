"""Upstream to `ir.Upstream`, and the little of it that Routes depend on.

In: an Upstream, the Service that it names. Out: its IR value and Problems. Called by compile through UPSTREAM; Routes
and Shards read TRAITS, which most edits leave as they are, so that an Upstream edit touches no route.
"""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

import fastforward_crds as crds

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells, Index, Rule
from fastforward_compiler.problem import ObjectRef, Problem, Reason, problem

from .backendtls import BackendTls, translate_backend_tls
from .reference import is_permitted, target
from .service import ENDPOINTS, PORT, Fault, ServicePort
from .session import session_problems, translate_session
from .world import UPSTREAMS, ref_of
from .zone import own_zone_minimum, zone_problems

ASKED_BY: Index[str] = Index("policies by the upstream that they ask")
"""(upstream) -> AuthPolicies whose requests it judges."""
KEPT_BY: Index[tuple[str, str]] = Index("routes by the upstream that they keep clients with")
"""(upstream) -> (kind, route) of rules with sessions of their own."""

_MAX_CHECK_TIMEOUT_MS = 5000
_REFRESH_MS = 5000


class UpstreamTranslation(NamedTuple):
    """An Upstream and what is wrong with it. Without a usable Service it has no endpoint, and answers 503."""

    upstream: ir.Upstream
    problems: tuple[Problem, ...] = ()


class Traits(NamedTuple):
    """What a rule that sends requests there must know."""

    grpc: bool
    hash_on: str
    tls: bool = False
    http1: bool = True
    """Whether it is spoken to in HTTP/1.1."""
    session: ir.Session | None = None
    own_zone: bool = False
    """Whether requests stay in the zone of the proxy."""
    shows: bool = False
    """Whether it is shown a certificate."""
    introduced: bool = False
    """Whether connections begin by saying who the client is."""
    no_session: str = ""
    """Why a rule can't keep clients with its endpoints; empty when it can."""


class _Places(NamedTuple):
    """Where requests go."""

    endpoints: tuple[ir.Endpoint, ...] = ()
    dns: ir.Dns | None = None
    problems: tuple[Problem, ...] = ()


def _translate_upstream(cells: Cells, name: str) -> UpstreamTranslation | None:
    upstream = cells.read(UPSTREAMS, name)
    if upstream is None:
        return None
    spec, places = upstream.spec, _find_places(cells, name, upstream.spec)
    protocol = _protocol(cells, name, spec)
    checks = _check_problems(ref_of("Upstream", name), spec, protocol)
    secured = BackendTls(None) if spec.tls is None else translate_backend_tls(cells, ref_of("Upstream", name), spec.tls)
    kept = bool(cells.read(KEPT_BY, name)) and not _fault_of_sessions(name, spec)
    nameless = session_problems(ref_of("Upstream", name), spec.session_affinity, places.dns, kept=kept)
    placeless = zone_problems(ref_of("Upstream", name), spec.load_balancing, places.dns)
    value = ir.Upstream(
        name=name,
        # Nothing goes in clear text, or to whoever, what was to go by TLS.
        endpoints=() if secured.problems else places.endpoints,
        dns=None if secured.problems else places.dns,
        tls=secured.tls,
        proxy_protocol=spec.proxy_protocol or "",
        protocol=protocol,
        connect_timeout_ms=crds.milliseconds(spec.connect_timeout),
        policy=spec.load_balancing.policy,
        hash_on=_hash_on(spec.load_balancing.hash_on),
        session=None if nameless else translate_session(spec.session_affinity),
        kept=kept and not nameless,
        slow_start_ms=_slow_start_ms(spec.load_balancing),
        panic_threshold=spec.load_balancing.panic_threshold,
        own_zone_minimum=0 if placeless else own_zone_minimum(spec.load_balancing),
        health_check=None if checks or spec.health_check is None else _translate_health_check(spec.health_check),
        outlier_detection=None if spec.outlier_detection is None else _translate_outliers(spec.outlier_detection),
        max_connections=spec.circuit_breaker.max_connections,
        max_pending_requests=spec.circuit_breaker.max_pending_requests,
        max_requests=spec.circuit_breaker.max_requests,
        retry_budget_percent=spec.retry_budget.percent,
        retry_min_concurrent=spec.retry_budget.min_concurrent,
        asked=bool(cells.read(ASKED_BY, name)),
    )
    return UpstreamTranslation(value, (*places.problems, *checks, *secured.problems, *nameless, *placeless))


def _slow_start_ms(balancing: crds.LoadBalancing) -> int:
    return crds.milliseconds(balancing.slow_start) if balancing.slow_start is not None else 0


def _check_problems(on: ObjectRef, spec: crds.UpstreamSpec, protocol: str) -> tuple[Problem, ...]:
    """GRPC needs HTTP/2, and Envoy refuses the cluster that is to ask by it over HTTP/1."""
    if spec.health_check is None or spec.health_check.type != "GRPC" or protocol != "HTTP1":
        return ()
    message = "A health check of type GRPC needs the protocol HTTP2 or GRPC: without it nothing is checked."
    return (problem(on, Reason.INVALID, "spec.healthCheck.type", message),)


def _find_places(cells: Cells, name: str, spec: crds.UpstreamSpec) -> _Places:
    if spec.dns is not None:
        return _Places(dns=_translate_dns(spec.dns))
    if spec.service is not None:
        return _find_service(cells, ref_of("Upstream", name), spec.service)
    listed = (
        ir.Endpoint(address=str(ipaddress.ip_address(e.address)), port=e.port, weight=e.weight, zone=e.zone or "")
        for e in spec.endpoints
    )
    return _Places(endpoints=tuple(listed))


def _find_service(cells: Cells, on: ObjectRef, ref: crds.ServiceRef) -> _Places:
    port = _resolve_port(cells, on, ref)
    if isinstance(port, Fault):
        named = ".port" if ref.port is not None else ".portName"
        place = f"spec.service{named if port.of_port else ''}"
        return _Places(problems=(problem(on, port.reason, place, port.message),))
    if port.dns:
        return _Places(dns=ir.Dns(host=port.dns, port=port.number, refresh_ms=_REFRESH_MS))
    service = target(ref, on.namespace)
    endpoints = cells.read(ENDPOINTS, service, port.name)
    if endpoints:
        return _Places(endpoints=endpoints)
    message = f"No endpoint of Service {service} serves port {port.name or port.number}."
    return _Places(problems=(problem(on, Reason.NO_ENDPOINTS, "spec.service", message),))


def _resolve_port(cells: Cells, on: ObjectRef, ref: crds.ServiceRef) -> ServicePort | Fault:
    service = target(ref, on.namespace)
    if not is_permitted(cells, kind="Upstream", namespace=on.namespace, to_kind="Service", to=service):
        message = f"Service {service} is in another namespace, and no ReferenceGrant there permits it."
        return Fault(Reason.REF_NOT_PERMITTED, message)
    return cells.read(PORT, service, ref.port or ref.port_name)


def _protocol(cells: Cells, name: str, spec: crds.UpstreamSpec) -> str:
    if spec.protocol is not None or spec.service is None:
        return spec.protocol or "HTTP1"
    port = _resolve_port(cells, ref_of("Upstream", name), spec.service)
    return "HTTP1" if isinstance(port, Fault) else port.protocol


def _translate_dns(dns: crds.Dns) -> ir.Dns:
    return ir.Dns(host=dns.host, port=dns.port, refresh_ms=crds.milliseconds(dns.refresh))


def _translate_health_check(check: crds.HealthCheck) -> ir.HealthCheck:
    return ir.HealthCheck(
        type=check.type,
        path=check.path,
        interval_ms=crds.milliseconds(check.interval),
        timeout_ms=min(crds.milliseconds(check.timeout), _MAX_CHECK_TIMEOUT_MS),
        unhealthy_threshold=check.unhealthy_threshold,
        healthy_threshold=check.healthy_threshold,
    )


def _translate_outliers(outliers: crds.OutlierDetection) -> ir.OutlierDetection:
    return ir.OutlierDetection(
        consecutive_errors=outliers.consecutive_errors,
        interval_ms=crds.milliseconds(outliers.interval),
        ejection_time_ms=crds.milliseconds(outliers.ejection_time),
        max_ejected_percent=outliers.max_ejected_percent,
    )


def _read_traits(cells: Cells, name: str) -> Traits | None:
    upstream = cells.read(UPSTREAMS, name)
    if upstream is None:
        return None
    spec = upstream.spec
    hash_on = _hash_on(spec.load_balancing.hash_on)
    return Traits(
        grpc=spec.protocol == "GRPC",
        hash_on=hash_on,
        tls=spec.tls is not None,
        http1=spec.protocol in (None, "HTTP1"),
        session=translate_session(spec.session_affinity),
        own_zone=spec.load_balancing.zone_aware is not None,
        shows=spec.tls is not None and spec.tls.certificate is not None,
        introduced=spec.proxy_protocol is not None,
        no_session=_fault_of_sessions(name, spec),
    )


def _fault_of_sessions(name: str, spec: crds.UpstreamSpec) -> str:
    if spec.dns is not None:
        return f"Upstream {name} is a name, whose endpoints are not told apart."
    if spec.load_balancing.hash_on is not None:
        return f"Upstream {name} chooses endpoints by a hash."
    return ""


def _hash_on(hash_on: crds.HashOn | None) -> str:
    if hash_on is None:
        return ""
    if hash_on.header is not None:
        return f"header:{hash_on.header.lower()}"
    return "address" if hash_on.cookie is None else f"cookie:{hash_on.cookie}"


def fault_of_asking(traits: Traits) -> str:
    """Why EntryPoint can't ask an Upstream anything; empty when it can."""
    if not traits.http1:
        return "that needs the protocol HTTP1."
    if traits.shows:
        return "the certificate of spec.tls is for the proxy alone to show."
    return "the PROXY protocol is the proxy's alone." if traits.introduced else ""


def fault_of_messages(name: str, traits: Traits) -> str:
    """Why EntryPoint can't call an Upstream as it says; empty when it can."""
    if not traits.grpc:
        return f"Upstream {name} does not take messages: that needs the protocol GRPC."
    if traits.tls:
        return f"Upstream {name} does not take messages: TLS to its endpoints is the proxy's own."
    if traits.introduced:
        return f"Upstream {name} does not take messages: the PROXY protocol is the proxy's alone."
    if traits.hash_on.startswith("cookie:"):
        return f"Upstream {name} chooses endpoints by a cookie, and messages have none: hash a header or the address."
    if traits.session is not None:
        return f"Upstream {name} keeps sessions, and messages have none: leave sessionAffinity out, or hash a header."
    return ""


def resolve_upstream(cells: Cells, on: ObjectRef, field: str, name: str, problems: list[Problem]) -> Traits | None:
    """What a rule must know of an Upstream that it names; None, with a Problem, when it has none."""
    if not is_permitted(cells, kind=on.kind, namespace=on.namespace, to_kind="Upstream", to=name):
        message = f"Upstream {name} is in another namespace, and no ReferenceGrant there permits it."
        problems.append(problem(on, Reason.REF_NOT_PERMITTED, field, message))
        return None
    traits = cells.read(TRAITS, name)
    if traits is None:
        problems.append(problem(on, Reason.UPSTREAM_NOT_FOUND, field, f"Upstream {name} was not found."))
    return traits


UPSTREAM: Rule[UpstreamTranslation | None] = Rule("upstream", _translate_upstream, root=True, counted=True)
TRAITS: Rule[Traits | None] = Rule("upstream traits", _read_traits)
