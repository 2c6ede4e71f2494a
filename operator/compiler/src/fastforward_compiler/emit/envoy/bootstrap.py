"""What an Envoy starts with: who it is, where its configuration comes from, where decision services listen.

In: addresses. Out: the bootstrap as JSON. Called by whoever starts an Envoy (`ff up`, the chart). Everything else comes
by delta ADS.
"""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf import json_format, struct_pb2

from .chain import CALL_CLUSTER, DECISION_CLUSTER
from .mutualtls import Peer, transport_socket
from .protos import (
    EnvoyMessage,
    address_pb2,
    backoff_pb2,
    base_pb2,
    bootstrap_pb2,
    cares_dns_resolver_pb2,
    circuit_breaker_pb2,
    cluster_pb2,
    config_source_pb2,
    dns_pb2,
    downstream_connections_pb2,
    endpoint_components_pb2,
    extension_pb2,
    grpc_service_pb2,
    http_protocol_options_pb2,
    overload_pb2,
    protocol_pb2,
)
from .upstream import HTTP_OPTIONS, assignment, endpoint, looked_up
from .wire import PATIENT_ADS, milliseconds, pack, uint32
from .zone import OWN_CLUSTER, own_cluster

ADS_CLUSTER = "ff-operator"
KEEPALIVE_INTERVAL_MS = 5000
KEEPALIVE_TIMEOUT_MS = 2000
RECONNECT_MS = 100
MAX_RECONNECT_MS = 1000
DNS_REFRESH_MS = 1000
"""How soon a replica of the operator or of a decision service that came or went is noticed."""
MAX_CONNECTIONS = 1_000_000
MAX_REGEX_PROGRAM = 10_000_000


Place = tuple[str, int] | str
"""Host and port, or `unix:PATH`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Who an Envoy is, and who must answer it, where its peers are reached over a network."""

    folder: str
    """Where Envoy finds its certificate: see mutualtls."""
    operator: Peer
    decisions: Peer


def bootstrap(  # noqa: PLR0913 - one for each thing that differs between Envoys
    *,
    node_id: str,
    node_cluster: str,
    xds: Place,
    admin: Place,
    decisions: tuple[Place, ...],
    trust: Trust | None = None,
    zone: str | None = None,
) -> str:
    """Returns the bootstrap as JSON.

    `xds` is where the operator listens, `admin` where Envoy's own console is to listen: host and port, or `unix:PATH`
    for a socket that only its own user may open (private keys travel over the former, the latter can stop Envoy).
    `decisions` are where the decision services listen: several share the load, and one that is gone is passed by; a
    host stands for all its addresses. `trust` is for peers that are reached over a network: without it nobody proves
    who they are. `zone` is where this Envoy is: empty for one that may have a zone and has none, None where zones do
    not matter.
    """
    message = bootstrap_pb2.Bootstrap(
        node=base_pb2.Node(id=node_id, cluster=node_cluster),
        admin=bootstrap_pb2.Admin(address=address(admin)),
        static_resources=bootstrap_pb2.Bootstrap.StaticResources(
            clusters=[operator_cluster(xds, trust), decision_cluster(decisions, trust), call_cluster(decisions, trust)]
        ),
        dynamic_resources=dynamic_resources(),
        typed_dns_resolver_config=dns_resolver(),
        overload_manager=overload_manager(),
        layered_runtime=runtime(),
        # Statistics of a cluster are made when it is first used: most of many never are, at once.
        deferred_stat_options=bootstrap_pb2.Bootstrap.DeferredStatOptions(enable_deferred_creation_stats=True),
    )
    if zone is not None:
        message.node.locality.zone = zone
        message.cluster_manager.local_cluster_name = OWN_CLUSTER
        message.static_resources.clusters.append(own_cluster(zone))
    return json_format.MessageToJson(message)


def address(place: Place) -> EnvoyMessage:
    """Returns a TCP address, or a Unix socket."""
    if isinstance(place, str):
        return address_pb2.Address(pipe=address_pb2.Pipe(path=place.removeprefix("unix:"), mode=0o600))
    host, port = place
    return address_pb2.Address(socket_address=address_pb2.SocketAddress(address=host, port_value=port))


def dns_resolver() -> EnvoyMessage:
    """Returns a resolver that gives up in two seconds: Envoy holds back every cluster's acknowledgement so long."""
    config = cares_dns_resolver_pb2.CaresDnsResolverConfig()
    config.query_timeout_seconds.value = 1
    config.query_tries.value = 2
    return extension_pb2.TypedExtensionConfig(name="dns", typed_config=pack(config))


def overload_manager() -> EnvoyMessage:
    """Returns the bound on all client connections together; each Edge has a tighter one."""
    connections = downstream_connections_pb2.DownstreamConnectionsConfig(
        max_active_downstream_connections=MAX_CONNECTIONS
    )
    monitor = overload_pb2.ResourceMonitor(
        name="envoy.resource_monitors.global_downstream_max_connections", typed_config=pack(connections)
    )
    return overload_pb2.OverloadManager(resource_monitors=[monitor])


def runtime() -> EnvoyMessage:
    """Returns settings that are not in the API: a bound on expressions that lists of tenants may reach.

    Envoy's own is 100 instructions, which 12 names are. What users write is bounded by the compiler.
    """
    values = struct_pb2.Struct()
    values.update({"re2.max_program_size.error_level": MAX_REGEX_PROGRAM})
    layer = bootstrap_pb2.RuntimeLayer(name="bounds", static_layer=values)
    return bootstrap_pb2.LayeredRuntime(layers=[layer])


def dynamic_resources() -> EnvoyMessage:
    """Returns where configuration comes from: one delta stream for everything, so that its order holds."""
    source = config_source_pb2.ApiConfigSource(
        api_type=config_source_pb2.ApiConfigSource.DELTA_GRPC,
        transport_api_version=config_source_pb2.ApiVersion.V3,
        grpc_services=[
            grpc_service_pb2.GrpcService(
                envoy_grpc=grpc_service_pb2.GrpcService.EnvoyGrpc(cluster_name=ADS_CLUSTER, retry_policy=reconnecting())
            )
        ],
    )
    return bootstrap_pb2.Bootstrap.DynamicResources(ads_config=source, lds_config=PATIENT_ADS, cds_config=PATIENT_ADS)


def reconnecting() -> EnvoyMessage:
    """Returns how soon to try again: Envoy's own bound of 30 s would make changes after a restart wait as long."""
    backoff = backoff_pb2.BackoffStrategy(
        base_interval=milliseconds(RECONNECT_MS), max_interval=milliseconds(MAX_RECONNECT_MS)
    )
    return base_pb2.RetryPolicy(retry_back_off=backoff)


def operator_cluster(xds: Place, trust: Trust | None) -> EnvoyMessage:
    """Returns the operator's cluster; HTTP/2 pings find a dead connection in seconds."""
    keepalive = protocol_pb2.KeepaliveSettings(
        interval=milliseconds(KEEPALIVE_INTERVAL_MS), timeout=milliseconds(KEEPALIVE_TIMEOUT_MS)
    )
    options = http_protocol_options_pb2.HttpProtocolOptions
    http2 = protocol_pb2.Http2ProtocolOptions(connection_keepalive=keepalive)
    explicit = options(explicit_http_config=options.ExplicitHttpConfig(http2_protocol_options=http2))
    return cluster_pb2.Cluster(
        name=ADS_CLUSTER,
        cluster_type=lookups((xds,)),
        connect_timeout=milliseconds(1000),
        transport_socket=transport_socket(trust.folder, trust.operator, http2=True) if trust else None,
        typed_extension_protocol_options={HTTP_OPTIONS: pack(explicit)},
        load_assignment=assignment(ADS_CLUSTER, [lb_endpoint(xds)]),
    )


def decision_cluster(decisions: tuple[Place, ...], trust: Trust | None) -> EnvoyMessage:
    """Returns the decision services' cluster.

    The bounds are those of the routes: a decision that waits in a queue is refused by its deadline anyway. No outlier
    detection: where one of two has died, a slow answer of the other one would put out of turn the only one that lives.
    Each try after the first goes to another service instead (chain.retries).
    """
    return services_cluster(DECISION_CLUSTER, decisions, trust, None)


def call_cluster(decisions: tuple[Place, ...], trust: Trust | None) -> EnvoyMessage:
    """Returns the same services as those that take calls of gRPC."""
    options = http_protocol_options_pb2.HttpProtocolOptions
    http2 = options.ExplicitHttpConfig(http2_protocol_options=protocol_pb2.Http2ProtocolOptions())
    return services_cluster(CALL_CLUSTER, decisions, trust, options(explicit_http_config=http2))


def services_cluster(
    name: str, decisions: tuple[Place, ...], trust: Trust | None, options: EnvoyMessage | None
) -> EnvoyMessage:
    """Returns a cluster of the decision services; HTTP/1.1 without `options`."""
    unbounded = uint32(1_000_000)
    thresholds = circuit_breaker_pb2.CircuitBreakers.Thresholds(
        max_connections=unbounded, max_pending_requests=unbounded, max_requests=unbounded, max_retries=unbounded
    )
    return cluster_pb2.Cluster(
        name=name,
        cluster_type=lookups(decisions),
        connect_timeout=milliseconds(250),
        transport_socket=transport_socket(trust.folder, trust.decisions, http2=options is not None) if trust else None,
        typed_extension_protocol_options={HTTP_OPTIONS: pack(options)} if options is not None else None,
        lb_policy=cluster_pb2.Cluster.LEAST_REQUEST,
        circuit_breakers=circuit_breaker_pb2.CircuitBreakers(thresholds=[thresholds]),
        load_assignment=assignment(name, [lb_endpoint(place) for place in decisions]),
    )


def lookups(places: tuple[Place, ...]) -> EnvoyMessage | None:
    """Returns how names are looked up, again and again; None where there are none: such a cluster is static."""
    named = any(not isinstance(place, str) for place in places)
    return looked_up(DNS_REFRESH_MS, dns_pb2.AUTO) if named else None


def lb_endpoint(place: Place) -> EnvoyMessage:
    """Returns an endpoint at a Unix socket or a host."""
    if not isinstance(place, str):
        return endpoint(*place)
    pipe_address = address_pb2.Address(pipe=address_pb2.Pipe(path=place.removeprefix("unix:")))
    return endpoint_components_pb2.LbEndpoint(endpoint=endpoint_components_pb2.Endpoint(address=pipe_address))
