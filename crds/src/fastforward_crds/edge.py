"""Edge: where traffic comes in. Hosts, listeners, what is trusted in front, and hardened defaults.

In: an Edge document. Out: `Edge`. Called by parse and by the compiler's translate/edge.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .addresslist import AddressList, CountryData
from .answers import Compression, SecurityHeaders
from .backendtls import AuthoritiesRef
from .concurrency import AdaptiveConcurrency
from .durations import Duration
from .formats import ANNOTATION, MEDIA_TYPE, Cidr, Country, HeaderName, Host, Label
from .grpcclients import GrpcClients
from .lists import Items
from .meta import Model, Port, Ref, Resource, Rule, ShortText
from .pods import Replicas, Resources


class ClientCertificates(Model):
    """Clients prove by certificate who they are (RFC 8446, section 4.3.2); upstreams are told of it."""

    authorities: Annotated[tuple[AuthoritiesRef, ...], Items(least=1, most=4)]
    """Who may have signed them."""
    mode: Literal["Required", "Optional"] = "Required"
    """Optional lets clients in that show none; one that is shown must be good."""


class ListenerTls(Model):
    """TLS termination; the certificate is picked by the server name the client indicates (SNI)."""

    certificates: Annotated[tuple[Ref, ...], Items(least=1, most=64)]
    """Secrets of type kubernetes.io/tls; the DNS names in each certificate say which hosts it serves."""
    min_version: Literal["1.2", "1.3"] = "1.2"
    """Lowest TLS version accepted."""
    clients: ClientCertificates | None = None
    """Certificates of clients; nobody is asked for one when absent."""


class Listener(Model):
    """One port that the edge listens on."""

    name: Label
    """Name, unique in the Edge; a Route may attach to one listener by it."""
    port: Port
    """TCP port; proxies that are `Managed` answer probes on 9081."""
    protocol: Literal["HTTP", "HTTPS"] = "HTTP"
    """HTTP/1.1 and HTTP/2 in clear text, or both over TLS."""
    http3: bool = False
    """Whether HTTPS is spoken over QUIC as well (HTTP/3, RFC 9114), on the UDP port of the same number; answers tell
    clients so (`alt-svc`). Nothing is taken before the handshake has ended (no 0-RTT).
    """
    tls: ListenerTls | None = None
    """TLS settings; HTTPS needs them, HTTP must not have them."""
    proxy_protocol: bool = False
    """Whether connections begin by saying who the client is (PROXY protocol 1 or 2); only from the Edge's trusted
    addresses, others are closed.
    """

    rules_cel = (
        Rule(
            "has(self.tls) == (self.protocol == 'HTTPS')",
            "HTTPS needs tls; HTTP has none.",
            "tls",
            lambda s: (s.tls is not None) == (s.protocol == "HTTPS"),
        ),
        Rule(
            "!self.http3 || self.protocol == 'HTTPS'",
            "HTTP/3 needs HTTPS.",
            "http3",
            lambda s: not s.http3 or s.protocol == "HTTPS",
        ),
        Rule(
            "!self.http3 || !has(self.tls) || !has(self.tls.clients)",
            "Over HTTP/3 nobody is asked for a certificate: leave out `clients`, or take another listener.",
            "http3",
            lambda s: not s.http3 or s.tls is None or s.tls.clients is None,
        ),
        Rule(
            "!self.http3 || !self.proxyProtocol",
            "HTTP/3 has no PROXY protocol.",
            "http3",
            lambda s: not s.http3 or not s.proxy_protocol,
        ),
    )


class RouteNamespaces(Model):
    """Namespaces whose Routes may attach."""

    from_: Annotated[Literal["Same", "All", "Selected"], Field(alias="from")] = "Same"
    """The Edge's own namespace, every namespace, or those in `names`."""
    names: Annotated[tuple[Label, ...], Items(most=64, distinct=True)] = ()
    """Namespaces, with `from: Selected`."""

    rules_cel = (
        Rule(
            "(self.from == 'Selected') == (has(self.names) && size(self.names) > 0)",
            "Names go with from: Selected, and only with it.",
            "names",
            lambda s: (s.from_ == "Selected") == bool(s.names),
        ),
    )


class TrustedHops(Model):
    """What stands in front of the edge and is believed (Envoy: xff_num_trusted_hops)."""

    count: Annotated[int, Field(ge=0, le=10)] = 0
    """Proxies in front whose X-Forwarded-For entries are believed."""
    addresses: Annotated[tuple[Cidr, ...], Items(most=64, distinct=True)] = ()
    """Direct peers from which `tenantHeader` is believed, or the PROXY protocol."""
    tenant_header: HeaderName | None = None
    """Header by which a trusted peer names the tenant; from anyone else it is removed. The peer has to see to it that
    no client of its own sends it, so there is none with `proxyProtocol`.
    """

    rules_cel = (
        Rule(
            "!has(self.tenantHeader) || (has(self.addresses) && size(self.addresses) > 0)",
            "A tenant header needs addresses to trust.",
            "addresses",
            lambda s: s.tenant_header is None or bool(s.addresses),
        ),
    )


class ApiVersions(Model):
    """How a request says which API version it wants."""

    header: HeaderName = "x-api-version"
    """Request header that carries the version."""
    default: Label | None = None
    """Version of a request without that header."""


class Limits(Model):
    """Bounds on what a client may send (Envoy: edge best practices)."""

    max_header_bytes: Annotated[int, Field(ge=1024, le=96 * 1024)] = 60 * 1024
    """Size of all request headers, in bytes; rounded up to KiB; 431 above."""
    max_headers: Annotated[int, Field(ge=10, le=1000)] = 100
    """Number of request headers; 431 above."""
    max_connections: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000
    """Open client connections in each proxy."""
    max_concurrent_streams: Annotated[int, Field(ge=1, le=10_000)] = 100
    """HTTP/2 streams of one connection."""
    max_requests_per_connection: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0
    """Requests of one connection before it is drained; 0 for no bound."""


class EdgeTimeouts(Model):
    """How long a client may take."""

    request_headers: Duration = "10s"
    """From the first byte to the end of the request headers; 408 after."""
    stream_idle: Duration = "5m"
    """A request or stream without any byte; also closes idle WebSockets."""
    connection_idle: Duration = "1h"
    """A connection without any request."""


class Admission(Model):
    """Stage 2: who may knock, and with what. Settings on an Edge and on a Route both hold."""

    allow_addresses: Annotated[tuple[Cidr, ...], Items(most=256, distinct=True)] = ()
    """Client networks let in; 403 otherwise. Everybody when this, `allowLists` and `allowCountries` are empty."""
    deny_addresses: Annotated[tuple[Cidr, ...], Items(most=256, distinct=True)] = ()
    """Client networks kept out; denial wins; 403."""
    allow_lists: Annotated[tuple[Label, ...], Items(most=32, distinct=True)] = ()
    """Address lists of the Edge whose networks are let in."""
    deny_lists: Annotated[tuple[Label, ...], Items(most=32, distinct=True)] = ()
    """Address lists of the Edge whose networks are kept out. While one can't be read, everybody is."""
    allow_countries: Annotated[tuple[Country, ...], Items(most=256, distinct=True)] = ()
    """Countries whose networks are let in, by the Edge's `countries`."""
    deny_countries: Annotated[tuple[Country, ...], Items(most=256, distinct=True)] = ()
    """Countries whose networks are kept out, by the Edge's `countries`. While these can't be read, everybody is."""
    max_body_bytes: Annotated[int, Field(ge=0, le=1 << 30)] | None = None
    """Largest request body, in bytes; 413 above."""
    content_types: Annotated[
        tuple[Annotated[str, MEDIA_TYPE], ...],
        Items(most=32, distinct=True),
    ] = ()
    """Media types accepted for a body, lower case, without parameters; any when empty; 415 otherwise.

    A request without length is taken for one with a body when it names a media type, or its method has bodies.
    """
    shadow: bool = False
    """Judge and report, but let everything pass. A body whose length is not announced is not held to be measured."""


class Annotation(Model):
    """An annotation of a Kubernetes object."""

    name: Annotated[str, ANNOTATION]
    """Name, with its prefix."""
    value: ShortText
    """Value."""


class ProxyService(Model):
    """How the proxies are reached (Kubernetes: Service)."""

    type: Literal["LoadBalancer", "NodePort", "ClusterIP"] = "LoadBalancer"
    """From outside by an address, by a port of every node, or only within the cluster."""
    load_balancer_class: Annotated[str, ANNOTATION] | None = None
    """Which implementation gives out the address; the cluster's default when absent."""
    external_traffic_policy: Literal["Local", "Cluster"] = "Local"
    """Local keeps the client's address and sends only to nodes that have a proxy."""
    annotations: Annotated[tuple[Annotation, ...], Items(most=32, key="name")] = ()
    """What the load balancer's implementation wants to be told."""


class Proxies(Model):
    """The edge's Envoys on Kubernetes; elsewhere whoever starts them says how many there are."""

    mode: Literal["Managed", "External"] = "Managed"
    """Managed ones are run by the operator, External ones by you: they get their certificate from a Secret."""
    replicas: Replicas = 2
    """Pods."""
    resources: Resources = Resources()
    """What each pod is given; as many threads as whole cores in `limits`."""
    service: ProxyService = ProxyService()
    """How they are reached."""
    decision: Ref | None = None
    """The Workload that they ask for decisions; the installation's own when absent."""


class EntryPoints(Model):
    """Traefik's own names of its ports."""

    plain: Label = "web"
    """Where clear text comes in."""
    secure: Label = "websecure"
    """Where TLS comes in."""


class Traefik(Model):
    """A Traefik of the cluster that hands requests on to the proxies: a few routers for the Edge, none for a Route."""

    addresses: Annotated[tuple[Cidr, ...], Items(least=1, most=16, distinct=True)]
    """Networks of its pods: the proxies close connections from anywhere else, and believe these who the client is."""
    protocols: Annotated[tuple[Literal["rest", "graphql", "ws", "grpc"], ...], Items(most=4, distinct=True)] = (
        "rest",
        "graphql",
        "ws",
        "grpc",
    )
    """Subdomains of each exact host, which become hosts of the Edge: rest.HOST, grpc.HOST; none when empty, and then
    the hosts themselves are served. A wildcard host is served as it is."""
    tls: Literal["PassThrough", "Terminate"] = "PassThrough"
    """PassThrough: HTTPS listeners end TLS, Traefik sees no key and clients' certificates work. Terminate: Traefik ends
    it with a certificate of its own, and speaks clear text with HTTP listeners."""
    entry_points: EntryPoints = EntryPoints()
    """Where Traefik listens for this Edge."""


class Front(Model):
    """What stands in front of the proxies on Kubernetes."""

    traefik: Traefik | None = None
    """A Traefik; without it clients come to the proxies directly."""


class EdgeSpec(Model):
    """What an Edge says."""

    hosts: Annotated[tuple[Host, ...], Items(least=1, most=256, distinct=True)]
    """Hosts that Routes may claim here, exact or wildcard."""
    listeners: Annotated[tuple[Listener, ...], Items(least=1, most=16, key="name")]
    """Ports. They never change with routes."""
    route_namespaces: RouteNamespaces = RouteNamespaces()
    """Namespaces whose Routes may attach."""
    region: Label | None = None
    """Region of this edge: the `region` that a match sees for a request whose tenant has none."""
    front: Front = Front()
    """What the operator sets up in front of the proxies."""
    trusted_hops: TrustedHops = TrustedHops()
    """What stands in front and is believed; nothing by default. A Traefik in `front` comes on top."""
    api_versions: ApiVersions = ApiVersions()
    """How a request names its API version."""
    address_lists: Annotated[tuple[AddressList, ...], Items(most=32, key="name")] = ()
    """Networks that admissions of this edge and of its Routes call by name."""
    countries: CountryData | None = None
    """Which networks are a country's, for admissions of this edge and of its Routes."""
    admission: Admission = Admission()
    """Who may knock, on every route of this edge."""
    limits: Limits = Limits()
    """Bounds on what a client may send."""
    timeouts: EdgeTimeouts = EdgeTimeouts()
    """How long a client may take."""
    compression: Compression | None = None
    """Compressed answers; none when absent."""
    security_headers: SecurityHeaders | None = None
    """Headers by which browsers protect the client; none when absent."""
    adaptive_concurrency: AdaptiveConcurrency | None = None
    """How many requests may be under way in each proxy, found by how long they take; no bound when absent."""
    grpc: GrpcClients = GrpcClients()
    """Clients that can't speak gRPC; none by default."""
    proxies: Proxies = Proxies()
    """The Envoys that serve it, on Kubernetes."""
    access_log: bool = True
    """Whether each request leaves one JSON line."""

    rules_cel = (
        Rule(
            "self.listeners.all(l, !l.proxyProtocol) || (has(self.trustedHops) && has(self.trustedHops.addresses)"
            " && size(self.trustedHops.addresses) > 0)",
            "The PROXY protocol is believed from trusted addresses only: name them.",
            "trustedHops.addresses",
            lambda s: bool(s.trusted_hops.addresses) or not any(each.proxy_protocol for each in s.listeners),
        ),
        Rule(
            "self.listeners.all(l, !l.proxyProtocol) || !has(self.trustedHops) || !has(self.trustedHops.tenantHeader)",
            "With the PROXY protocol every client comes from a trusted address, so no header can name the tenant.",
            "trustedHops.tenantHeader",
            lambda s: s.trusted_hops.tenant_header is None or not any(each.proxy_protocol for each in s.listeners),
        ),
        Rule(
            "!has(self.front) || !has(self.front.traefik) || self.listeners.all(l, !l.proxyProtocol)",
            "Behind Traefik the PROXY protocol is set up by itself.",
            "listeners",
            lambda s: s.front.traefik is None or not any(each.proxy_protocol for each in s.listeners),
        ),
        Rule(
            "!has(self.front) || !has(self.front.traefik) || self.listeners.all(l, !l.http3)",
            "Traefik hands on connections of TCP: there is no HTTP/3 behind it.",
            "listeners",
            lambda s: s.front.traefik is None or not any(each.http3 for each in s.listeners),
        ),
        Rule(
            "!has(self.front) || !has(self.front.traefik) || !has(self.trustedHops)"
            " || !has(self.trustedHops.tenantHeader)",
            "Behind Traefik every client is the same peer, so no header can name the tenant.",
            "trustedHops.tenantHeader",
            lambda s: s.front.traefik is None or s.trusted_hops.tenant_header is None,
        ),
        Rule(
            "!has(self.front) || !has(self.front.traefik) || !has(self.proxies) || self.proxies.mode == 'Managed'",
            "Traefik is set up in front of proxies that the operator runs.",
            "proxies.mode",
            lambda s: s.front.traefik is None or s.proxies.mode == "Managed",
        ),
        Rule(
            "!has(self.front) || !has(self.front.traefik) || (self.listeners.filter(l, l.protocol == 'HTTP').size() < 2"
            " && self.listeners.filter(l, l.protocol == 'HTTPS').size() < 2)",
            "Traefik hands on to one listener for each protocol.",
            "listeners",
            lambda s: s.front.traefik is None or len({each.protocol for each in s.listeners}) == len(s.listeners),
        ),
        Rule(
            "!has(self.front) || !has(self.front.traefik) || self.front.traefik.tls == 'PassThrough'"
            " || self.listeners.all(l, l.protocol == 'HTTP')",
            "Where Traefik ends TLS, listeners are HTTP.",
            "front.traefik.tls",
            lambda s: (
                s.front.traefik is None
                or s.front.traefik.tls == "PassThrough"
                or all(each.protocol == "HTTP" for each in s.listeners)
            ),
        ),
    )

    @property
    def own_hosts(self) -> tuple[tuple[int, str], ...]:
        """Hosts by their places in `hosts`, each exact one followed by its subdomains behind a Traefik."""
        traefik = self.front.traefik
        protocols = traefik.protocols if traefik is not None else ()
        return tuple(
            (place, own)
            for place, host in enumerate(self.hosts)
            for own in (host, *(f"{each}.{host}" for each in protocols if "*" not in host))
        )


class Edge(Resource):
    """Where traffic comes in."""

    kind: Literal["Edge"] = "Edge"
    spec: EdgeSpec
