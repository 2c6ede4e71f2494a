"""Where requests go, resolved. Made by translate/upstream; read by emit. Durations are milliseconds."""

from __future__ import annotations

from dataclasses import dataclass

from .edge import Certificate
from .session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An IP address, a port, and a share of the requests."""

    address: str
    port: int
    weight: int = 1
    uid: str = ""
    """Of the pod that it is; nobody can guess it. Empty for others."""
    zone: str = ""
    """Empty for those of no zone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dns:
    """A name that resolves to the endpoints."""

    host: str
    port: int
    refresh_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """Active health checks. `type` is HTTP, TCP or GRPC."""

    type: str
    path: str
    interval_ms: int
    timeout_ms: int
    unhealthy_threshold: int
    healthy_threshold: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlierDetection:
    """Ejection of endpoints that answer badly."""

    consecutive_errors: int
    interval_ms: int
    ejection_time_ms: int
    max_ejected_percent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamTls:
    """TLS towards the endpoints, and what their certificates must prove."""

    server_name: str
    """What they are asked for (SNI)."""
    authorities: bytes = b""
    """PEM; those of the proxy's system when empty."""
    dns_names: tuple[str, ...] = ()
    """The certificate has one of these, or one of `uris`."""
    uris: tuple[str, ...] = ()
    pins: tuple[str, ...] = ()
    """It has one of these public keys (SHA-256 in base64), too; any when empty."""
    client: Certificate | None = None
    """What the proxy shows of itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """One Upstream. Its cluster carries its name and nothing else, so that an edit updates it in place."""

    name: str
    """NAMESPACE/NAME."""
    endpoints: tuple[Endpoint, ...] = ()
    dns: Dns | None = None
    protocol: str = "HTTP1"
    """HTTP1, HTTP2 or GRPC."""
    connect_timeout_ms: int = 2000
    policy: str = "RoundRobin"
    """RoundRobin, LeastRequest, Random, RingHash or Maglev."""
    hash_on: str = ""
    """With RingHash or Maglev: `header:NAME`, `cookie:NAME` or `address`. Rules tell the proxy."""
    session: Session | None = None
    kept: bool = False
    """Whether rules keep clients with its endpoints by sessions of their own."""
    slow_start_ms: int = 0
    panic_threshold: int = 0
    """Percent; 0 for never."""
    own_zone_minimum: int = 0
    """Healthy endpoints in a proxy's own zone from which on they get all of its requests; with 0 no zone counts."""
    health_check: HealthCheck | None = None
    outlier_detection: OutlierDetection | None = None
    max_connections: int = 1024
    max_pending_requests: int = 1024
    max_requests: int = 1024
    retry_budget_percent: int = 20
    retry_min_concurrent: int = 3
    tls: UpstreamTls | None = None
    proxy_protocol: str = ""
    """V1 or V2, when connections begin by saying who the client is."""
    asked: bool = False
    """Whether the decision service asks it whether requests may pass."""
    workload: str = ""
    """Workload whose pods it is: both ends prove who they are by the certificates of nodes."""

    @property
    def keeps_clients(self) -> bool:
        """Whether clients stay with an endpoint: then each has a mark."""
        return self.kept or self.session is not None
