"""Where traffic comes in, resolved: listeners with their certificates, trusted hops, bounds.

Made by translate/edge; read by emit. Durations are milliseconds, sizes bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from .route import Share
from .workload import DEFAULT_PODS, Pods


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate chain and its key, both PEM."""

    name: str
    """NAMESPACE/NAME of the Secret: its SDS name."""
    hosts: tuple[str, ...]
    """DNS names in the certificate, lower case, `*.suffix` possible: the server names (SNI) it answers to."""
    chain: bytes
    key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Connections or datagrams that go on as they are, whatever they carry."""

    shares: tuple[Share, ...]
    """Upstreams by weight; the share of one that is not there is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Connections to one port that are told from others by their server name."""

    name: str
    """What rules call it in `Match.listener`."""
    hosts: tuple[str, ...] = ()
    """Server names, `*.suffix` possible; empty for any that no other chain has."""
    certificates: tuple[Certificate, ...] = ()
    client_ca: bytes = b""
    """Authorities of clients' certificates, PEM; empty when none is asked for."""
    client_optional: bool = False
    """Whether a client may also have none, or one that nobody vouches for."""
    stream: Stream | None = None
    """Where its connections go; None for HTTP. Without certificates TLS is not ended here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """One port. `certificates` and `chains` are empty for clear text; only one of them is not."""

    name: str
    port: int
    certificates: tuple[Certificate, ...] = ()
    """Each answers to the hosts that it names."""
    min_tls: str = "1.2"
    client_ca: bytes = b""
    """PEM of who signs clients' certificates; nobody is asked for one when empty."""
    client_optional: bool = False
    """Whether clients may show none."""
    chains: tuple[Chain, ...] = ()
    transport: str = "TCP"
    """`UDP` for datagrams: these have a stream, and nothing else."""
    stream: Stream | None = None
    """Where all connections go; None for HTTP, and where there are chains."""
    proxy_protocol: bool = False
    """Whether each connection begins by saying who the client is (PROXY protocol)."""
    http3: bool = False
    """Whether HTTP is spoken over QUIC as well, on the UDP port of the same number."""
    scope: str = ""
    """What the names of its hosts' scopes begin with; the Edge's name when empty."""
    names: tuple[str, ...] = ()
    """What people call those that share its port in clear text: no rule does."""

    @property
    def transports(self) -> tuple[str, ...]:
        """What its port is a port of."""
        return (self.transport, "UDP") if self.http3 else (self.transport,)

    @property
    def called(self) -> tuple[str, ...]:
        """By what names requests come in here; none where there are no requests."""
        if self.chains:
            return tuple(chain.name for chain in self.chains if chain.stream is None)
        return () if self.stream is not None else (self.name, *self.names)

    @property
    def all_certificates(self) -> tuple[Certificate, ...]:
        """Of all its connections."""
        return self.certificates + tuple(own for chain in self.chains for own in chain.certificates)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxies:
    """The Envoys of an Edge, where they run as pods."""

    managed: bool = True
    """Whether the operator runs them."""
    pods: Pods = DEFAULT_PODS
    service_type: str = "LoadBalancer"
    load_balancer_class: str = ""
    external_traffic_policy: str = "Local"
    annotations: tuple[tuple[str, str], ...] = ()
    """Of the Service."""
    labels: tuple[tuple[str, str], ...] = ()
    """Of all that is made; those of the operator's own stay."""
    shared_annotations: tuple[tuple[str, str], ...] = ()
    """Of all that is made; those of the Service come before them."""
    decision: str = ""
    """Name of the Workload that decides; empty for the installation's own."""


DEFAULT_PROXIES = Proxies()


@dataclass(frozen=True, slots=True, kw_only=True)
class Traefik:
    """A Traefik in front of an Edge's proxies."""

    addresses: tuple[str, ...]
    """Networks of its pods; nobody else may connect."""
    hosts: tuple[tuple[str, str], ...]
    """What it hands on, (host, protocol); without a protocol the host takes any."""
    plain: str = "web"
    """Its port for clear text, as it calls it."""
    secure: str = "websecure"
    terminates: bool = False
    """Whether it ends TLS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compression:
    """Answers that are compressed; `algorithms` are content codings, the preferred one first."""

    algorithms: tuple[str, ...]
    min_bytes: int
    content_types: tuple[str, ...] = ()
    """The proxy's own list when empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityHeaders:
    """Headers of all answers that don't have them."""

    preset: str
    """Api or Web."""
    hsts_days: int
    content_security_policy: str = ""
    """The preset's when empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptiveConcurrency:
    """A bound on requests under way, between `least` and `most`, that follows a percentile of the times they take."""

    least: int
    most: int
    percentile: int
    measure_every_ms: int


GATEWAY = "~gateway"
"""Ends the name of an Edge that is made of a Gateway: no object of Kubernetes can be named so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """One Edge."""

    name: str
    """NAMESPACE/NAME; NAMESPACE/NAME~gateway of a Gateway."""
    hosts: tuple[str, ...]
    listeners: tuple[Listener, ...]
    held_ports: tuple[tuple[int, str], ...] = ()
    """(port, transport) of all listeners, where one of them can't be served for want of a certificate or a route:
    the Service keeps its port, and the pods need not be replaced. Those of `listeners` when empty.
    """
    addresses: tuple[str, ...] = ()
    """Where its listeners listen; wherever the proxy may, when empty."""
    upstreams: tuple[str, ...] = ()
    """Names of the Upstreams that its listeners name by themselves."""
    region: str = ""
    trusted_hop_count: int = 0
    """Who is behind the PROXY protocol could write no header: there it is 0."""
    traefik: Traefik | None = None
    """What stands in front; already counted in `trusted_hop_count`."""
    trusted_addresses: tuple[str, ...] = ()
    tenant_header: str = ""
    api_version_header: str = "x-api-version"
    api_version_default: str = ""
    max_header_bytes: int = 60 * 1024
    max_headers: int = 100
    max_connections: int = 100_000
    max_concurrent_streams: int = 100
    max_requests_per_connection: int = 0
    request_headers_timeout_ms: int = 10_000
    stream_idle_timeout_ms: int = 300_000
    connection_idle_timeout_ms: int = 3_600_000
    access_log: bool = True
    compression: Compression | None = None
    security_headers: SecurityHeaders | None = None
    adaptive_concurrency: AdaptiveConcurrency | None = None
    has_lists: bool = False
    """Whether its proxies look clients up in AddressLists."""
    grpc_web: bool = False
    """Whether calls in gRPC-Web become calls in gRPC."""
    grpc_transcoding: bool = False
    """Whether rules make calls in gRPC of JSON."""
    proxies: Proxies = DEFAULT_PROXIES
    tells_ends: bool = False
    """Whether the decision service is told when requests end that some limit counts by that."""
