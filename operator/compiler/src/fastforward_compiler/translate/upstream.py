"""Upstream to `ir.Upstream`, and the little of it that Routes depend on.

In: an Upstream. Out: its IR value. Called by compile through UPSTREAM; Routes and Shards read TRAITS, which most edits
leave as they are, so that an Upstream edit touches no route.
"""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

import fastforward_crds as crds

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells, Rule

from .world import UPSTREAMS

_MAX_CHECK_TIMEOUT_MS = 5000


class Traits(NamedTuple):
    """What a rule that sends requests there must know."""

    grpc: bool
    hash_on: str


def _translate_upstream(cells: Cells, name: str) -> ir.Upstream | None:
    upstream = cells.read(UPSTREAMS, name)
    if upstream is None:
        return None
    spec = upstream.spec
    return ir.Upstream(
        name=name,
        endpoints=tuple(
            ir.Endpoint(address=str(ipaddress.ip_address(e.address)), port=e.port, weight=e.weight)
            for e in spec.endpoints
        ),
        dns=None if spec.dns is None else _translate_dns(spec.dns),
        protocol=spec.protocol,
        connect_timeout_ms=crds.milliseconds(spec.connect_timeout),
        policy=spec.load_balancing.policy,
        health_check=None if spec.health_check is None else _translate_health_check(spec.health_check),
        outlier_detection=None if spec.outlier_detection is None else _translate_outliers(spec.outlier_detection),
        max_connections=spec.circuit_breaker.max_connections,
        max_pending_requests=spec.circuit_breaker.max_pending_requests,
        max_requests=spec.circuit_breaker.max_requests,
        retry_budget_percent=spec.retry_budget.percent,
        retry_min_concurrent=spec.retry_budget.min_concurrent,
    )


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
    return Traits(upstream.spec.protocol == "GRPC", _hash_on(upstream.spec.load_balancing.hash_on))


def _hash_on(hash_on: crds.HashOn | None) -> str:
    if hash_on is None:
        return ""
    if hash_on.header is not None:
        return f"header:{hash_on.header.lower()}"
    return "address" if hash_on.cookie is None else f"cookie:{hash_on.cookie}"


UPSTREAM: Rule[ir.Upstream | None] = Rule("upstream", _translate_upstream, root=True, counted=True)
TRAITS: Rule[Traits | None] = Rule("upstream traits", _read_traits)
