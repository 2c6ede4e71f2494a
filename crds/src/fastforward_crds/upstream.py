"""Upstream: where requests go. Endpoints or a Service, load balancing, health, and the bounds that protect it.

In: an Upstream document. Out: `Upstream`. Called by parse and by the compiler's translate/upstream.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .backendtls import UpstreamTls
from .durations import Period, Within
from .formats import COOKIE, DURATION, IP, PLACE, Address, HeaderName, Label, PathText
from .lists import Items
from .meta import Model, Port, Ref, Resource, Rule, count_set
from .session import SessionAffinity


class Endpoint(Model):
    """One place to send requests to."""

    address: Annotated[str, IP]
    """IP address."""
    port: Port
    """TCP port."""
    weight: Annotated[int, Field(ge=1, le=128)] = 1
    """Share among the endpoints, with any load-balancing policy that is not random."""
    zone: Annotated[str, PLACE] | None = None
    """Zone that it is in; of no zone when absent. Counts with `loadBalancing.zoneAware`."""


class Dns(Model):
    """Endpoints by resolving a name; every address is an endpoint."""

    host: Address
    """DNS name."""
    port: Port
    """TCP port."""
    refresh: Annotated[str, DURATION, Within("1s", "999h")] = "5s"
    """How often to resolve again."""


class ServiceRef(Ref):
    """A port of a Kubernetes Service; its ready endpoints are the Upstream's."""

    port: Port | None = None
    """Port of the Service, by number."""
    port_name: Label | None = None
    """Port of the Service, by name."""

    rules_cel = (
        Rule(
            "has(self.port) != has(self.portName)",
            "A port has either a number or a name.",
            "port",
            lambda s: count_set(s.port, s.port_name) == 1,
        ),
    )


class HashOn(Model):
    """What is hashed."""

    header: HeaderName | None = None
    """A request header."""
    cookie: Annotated[str, COOKIE] | None = None
    """A cookie; set by the edge for an hour when the client has none."""
    address: bool = False
    """The client's address."""

    rules_cel = (
        Rule(
            "[has(self.header), has(self.cookie), self.address].filter(x, x).size() == 1",
            "Hash on exactly one thing.",
            "",
            lambda s: count_set(s.header, s.cookie, s.address or None) == 1,
        ),
    )


class ZoneAware(Model):
    """Endpoints of the proxy's own zone come first."""

    minimum_endpoints: Annotated[int, Field(ge=1, le=1000)] = 1
    """Healthy endpoints in the proxy's zone from which on they get all of its requests; with fewer, and without a zone
    of the proxy, the endpoints of all zones do.
    """


class LoadBalancing(Model):
    """How an endpoint is chosen."""

    policy: Literal["RoundRobin", "LeastRequest", "Random", "RingHash", "Maglev"] = "RoundRobin"
    """Round robin and least request respect the endpoints' weights. Maglev chooses faster than a ring, and a ring moves
    fewer keys when endpoints come and go.
    """
    hash_on: HashOn | None = None
    """What to hash, with RingHash and Maglev."""
    slow_start: Period | None = None
    """Time in which an endpoint that has come gets more and more requests, up to its share."""
    panic_threshold: Annotated[int, Field(ge=0, le=100)] = 0
    """With a smaller share of healthy endpoints, in percent, all of them get requests; never with 0."""
    zone_aware: ZoneAware | None = None
    """Keeps requests in the proxy's own zone, where there are enough endpoints; zones do not count when absent."""

    rules_cel = (
        Rule(
            "has(self.hashOn) == (self.policy in ['RingHash', 'Maglev'])",
            "hashOn goes with RingHash and Maglev, and only with them.",
            "hashOn",
            lambda s: (s.hash_on is not None) == (s.policy in ("RingHash", "Maglev")),
        ),
        Rule(
            "!has(self.slowStart) || self.policy in ['RoundRobin', 'LeastRequest']",
            "slowStart goes with RoundRobin and LeastRequest.",
            "slowStart",
            lambda s: s.slow_start is None or s.policy in ("RoundRobin", "LeastRequest"),
        ),
        Rule(
            "!has(self.zoneAware) || !(self.policy in ['RingHash', 'Maglev'])",
            "A hash chooses among all endpoints: zoneAware goes with the other policies.",
            "zoneAware",
            lambda s: s.zone_aware is None or s.policy not in ("RingHash", "Maglev"),
        ),
    )


class HealthCheck(Model):
    """Active health checks; an endpoint that fails gets no requests."""

    type: Literal["HTTP", "TCP", "GRPC"] = "HTTP"
    """HTTP request, TCP connect, or grpc.health.v1."""
    path: PathText = "/"
    """Path, with HTTP."""
    interval: Period = "5s"
    """Time between checks."""
    timeout: Annotated[str, DURATION, Within("1ms", "5s")] = "1s"
    """Time that an answer may take; at most 5s, so that a slow check never holds up other changes."""
    unhealthy_threshold: Annotated[int, Field(ge=1, le=10)] = 3
    """Failures in a row that take an endpoint out."""
    healthy_threshold: Annotated[int, Field(ge=1, le=10)] = 1
    """Successes in a row that bring it back."""


class OutlierDetection(Model):
    """Ejects an endpoint that answers real requests badly."""

    consecutive_errors: Annotated[int, Field(ge=1, le=1000)] = 5
    """5xx answers or lost connections in a row."""
    interval: Period = "10s"
    """Time between sweeps that bring endpoints back."""
    ejection_time: Period = "30s"
    """Time out, multiplied by the number of ejections."""
    max_ejected_percent: Annotated[int, Field(ge=1, le=100)] = 50
    """Share of the endpoints that may be out."""


class RetryBudget(Model):
    """Bound on retries in proportion to the requests under way."""

    percent: Annotated[int, Field(ge=1, le=100)] = 20
    """Retries as a share of active requests."""
    min_concurrent: Annotated[int, Field(ge=0, le=1000)] = 3
    """Retries always allowed."""


class CircuitBreaker(Model):
    """Bounds of each proxy towards this upstream; 503 above."""

    max_connections: Annotated[int, Field(ge=1, le=1_000_000)] = 1024
    """Open connections (HTTP/1.1)."""
    max_pending_requests: Annotated[int, Field(ge=1, le=1_000_000)] = 1024
    """Requests waiting for a connection."""
    max_requests: Annotated[int, Field(ge=1, le=1_000_000)] = 1024
    """Requests under way."""


class UpstreamSpec(Model):
    """What an Upstream says."""

    endpoints: Annotated[tuple[Endpoint, ...], Items(most=1000)] = ()
    """Endpoints by address."""
    dns: Dns | None = None
    """Endpoints by name."""
    service: ServiceRef | None = None
    """Endpoints of a Kubernetes Service."""
    protocol: Literal["HTTP1", "HTTP2", "GRPC"] | None = None
    """Protocol towards the endpoints; GRPC is HTTP/2 without a request timeout. When absent, HTTP2 where the Service's
    port has `appProtocol: kubernetes.io/h2c`, HTTP1 otherwise.
    """
    tls: UpstreamTls | None = None
    """TLS towards the endpoints; clear text when absent."""
    proxy_protocol: Literal["V1", "V2"] | None = None
    """Whether connections begin by saying who the client is, and in which version of the PROXY protocol."""
    connect_timeout: Period = "2s"
    """Time that a connection may take."""
    load_balancing: LoadBalancing = LoadBalancing()
    """How an endpoint is chosen."""
    session_affinity: SessionAffinity | None = None
    """How a client stays with the endpoint that it began with; it does not, when absent."""
    health_check: HealthCheck | None = None
    """Active health checks."""
    outlier_detection: OutlierDetection | None = None
    """Passive health checks."""
    circuit_breaker: CircuitBreaker = CircuitBreaker()
    """Bounds towards this upstream."""
    retry_budget: RetryBudget = RetryBudget()
    """Bound on retries."""

    rules_cel = (
        Rule(
            "[has(self.endpoints) && size(self.endpoints) > 0, has(self.dns), has(self.service)]"
            ".filter(x, x).size() == 1",
            "An upstream has exactly one of endpoints, dns and service.",
            "endpoints",
            lambda s: count_set(s.endpoints or None, s.dns, s.service) == 1,
        ),
        Rule(
            "!has(self.sessionAffinity) || !has(self.dns)",
            "Sessions need endpoints that are told one by one: endpoints or service.",
            "sessionAffinity",
            lambda s: s.session_affinity is None or s.dns is None,
        ),
        Rule(
            "!has(self.sessionAffinity) || !(self.loadBalancing.policy in ['RingHash', 'Maglev'])",
            "A hash keeps sessions by itself: sessionAffinity goes with the other policies.",
            "sessionAffinity",
            lambda s: s.session_affinity is None or s.load_balancing.policy not in ("RingHash", "Maglev"),
        ),
        Rule(
            "!has(self.loadBalancing.zoneAware) || !has(self.dns)",
            "Zones need endpoints that are told one by one: endpoints or service.",
            "loadBalancing.zoneAware",
            lambda s: s.load_balancing.zone_aware is None or s.dns is None,
        ),
    )


class Upstream(Resource):
    """Where requests go."""

    kind: Literal["Upstream"] = "Upstream"
    spec: UpstreamSpec
