"""An Upstream to a cluster and, where its endpoints are given by address, its ClusterLoadAssignment.

In: ir.Upstream. Out: serialised messages. Called by emitter. The cluster is named by the Upstream and nothing else, and
endpoints travel apart from it, so that an edit updates it in place and touches no route.
"""

from __future__ import annotations

from fastforward_compiler import ir

from .certificate import emit_certificate
from .chain import CALL_CLUSTER, DECISION_CLUSTER
from .mutualtls import TLS_FOLDER, Peer, transport_socket
from .protos import (
    EnvoyMessage,
    address_pb2,
    aggregate_pb2,
    base_pb2,
    circuit_breaker_pb2,
    cluster_pb2,
    config_source_pb2,
    dns_cluster_pb2,
    dns_pb2,
    endpoint_components_pb2,
    endpoint_pb2,
    health_check_pb2,
    http_protocol_options_pb2,
    outlier_detection_pb2,
    percent_pb2,
    protocol_pb2,
    proxy_protocol_config_pb2,
    range_pb2,
    raw_buffer_pb2,
    tls_common_pb2,
    tls_pb2,
    upstream_proxy_protocol_pb2,
)
from .session import emit_mark, emit_subsets
from .wire import ADS, exact, milliseconds, pack, serialise, uint32
from .zone import by_zone, emit_own_zone

HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
MAX_FIRST_CHECK_MS = 5000
"""Envoy withholds the acknowledgement of every cluster while one of them waits for its first health check."""

_ENDPOINTS_TIMEOUT_MS = 2000
_EDS = config_source_pb2.ConfigSource(initial_fetch_timeout=milliseconds(_ENDPOINTS_TIMEOUT_MS))
_EDS.MergeFrom(ADS)

_POLICIES = {
    "RoundRobin": cluster_pb2.Cluster.ROUND_ROBIN,
    "LeastRequest": cluster_pb2.Cluster.LEAST_REQUEST,
    "Random": cluster_pb2.Cluster.RANDOM,
    "RingHash": cluster_pb2.Cluster.RING_HASH,
    "Maglev": cluster_pb2.Cluster.MAGLEV,
}


def http2_options() -> EnvoyMessage:
    """Returns the cluster options that make it speak HTTP/2."""
    options = http_protocol_options_pb2.HttpProtocolOptions
    return pack(
        options(
            explicit_http_config=options.ExplicitHttpConfig(http2_protocol_options=protocol_pb2.Http2ProtocolOptions())
        )
    )


_HTTP2 = http2_options()
_SYSTEM_AUTHORITIES = base_pb2.DataSource(filename="/etc/ssl/certs/ca-certificates.crt")
# Envoy would take an endpoint out at the first bad status, whatever the threshold.
_ANY_STATUS = range_pb2.Int64Range(start=100, end=600)


_GONE = outlier_detection_pb2.OutlierDetection(
    split_external_local_origin_errors=True,
    consecutive_local_origin_failure=uint32(1),
    enforcing_consecutive_local_origin_failure=uint32(100),
    enforcing_consecutive_5xx=uint32(0),
    enforcing_consecutive_gateway_failure=uint32(0),
    enforcing_success_rate=uint32(0),
    enforcing_local_origin_success_rate=uint32(0),
    base_ejection_time=milliseconds(1000),
    max_ejection_percent=uint32(100),
)


def emit_clusters(upstream: ir.Upstream) -> dict[str, bytes]:
    """Returns the serialised clusters by name: one, or for pods one that goes on without them."""
    if not upstream.workload:
        return {upstream.name: emit_cluster(upstream)}
    return {upstream.name: emit_replaced(upstream), members_name(upstream.name): emit_cluster(upstream)}


def emit_cluster(upstream: ir.Upstream) -> bytes:
    """Returns the serialised cluster of the endpoints."""
    cluster = cluster_pb2.Cluster(
        name=members_name(upstream.name) if upstream.workload else upstream.name,
        connect_timeout=milliseconds(upstream.connect_timeout_ms),
        lb_policy=_POLICIES[upstream.policy],
        circuit_breakers=circuit_breaker_pb2.CircuitBreakers(thresholds=[emit_thresholds(upstream)]),
        ignore_health_on_host_removal=True,
        # By default Envoy would go back to all endpoints, those that fail included, with half of them out.
        common_lb_config=cluster_pb2.Cluster.CommonLbConfig(
            healthy_panic_threshold=percent_pb2.Percent(value=upstream.panic_threshold)
        ),
    )
    emit_choice(upstream, cluster)
    if upstream.protocol != "HTTP1":
        cluster.typed_extension_protocol_options[HTTP_OPTIONS].CopyFrom(_HTTP2)
    if upstream.health_check is not None:
        cluster.health_checks.append(emit_health_check(upstream, upstream.health_check))
    emit_ejection(upstream, cluster)
    if upstream.workload:
        namespace, _, name = upstream.workload.partition("/")
        peer = Peer(uri=f"spiffe://fastforward/ns/{namespace}/workload/{name}")
        cluster.transport_socket.CopyFrom(transport_socket(TLS_FOLDER, peer, http2=upstream.protocol != "HTTP1"))
        # A pod that is gone is asked no more at once, not when its name is looked up again; one that answers badly is.
        cluster.outlier_detection.CopyFrom(_GONE)
    if upstream.tls is not None:
        cluster.transport_socket.CopyFrom(emit_tls(upstream.tls, http2=upstream.protocol != "HTTP1"))
    if upstream.proxy_protocol:
        cluster.transport_socket.CopyFrom(emit_proxy_protocol(upstream, cluster))
    emit_discovery(upstream, cluster)
    return serialise(cluster)


def emit_choice(upstream: ir.Upstream, cluster: EnvoyMessage) -> None:
    """Writes how an endpoint is chosen, beyond the policy."""
    if upstream.own_zone_minimum:
        emit_own_zone(upstream, cluster)
        return
    emit_subsets(upstream, cluster)
    if upstream.slow_start_ms:
        emit_slow_start(upstream, cluster)


def emit_slow_start(upstream: ir.Upstream, cluster: EnvoyMessage) -> None:
    """Writes how long an endpoint that has come is spared."""
    least = upstream.policy == "LeastRequest"
    config = cluster.least_request_lb_config if least else cluster.round_robin_lb_config
    config.slow_start_config.slow_start_window.CopyFrom(milliseconds(upstream.slow_start_ms))


def emit_replaced(upstream: ir.Upstream) -> bytes:
    """Returns the serialised cluster of pods with adapters: as long as there are none, decision services have these."""
    replacement = CALL_CLUSTER if upstream.protocol == "GRPC" else DECISION_CLUSTER
    clusters = aggregate_pb2.ClusterConfig(clusters=[members_name(upstream.name), replacement])
    kind = cluster_pb2.Cluster.CustomClusterType(name="envoy.clusters.aggregate", typed_config=pack(clusters))
    return serialise(
        cluster_pb2.Cluster(
            name=upstream.name,
            connect_timeout=milliseconds(upstream.connect_timeout_ms),
            cluster_type=kind,
            lb_policy=cluster_pb2.Cluster.CLUSTER_PROVIDED,
        )
    )


def members_name(name: str) -> str:
    """Returns the name of the cluster of an Upstream's endpoints, where another one has its own."""
    return f"{name}.members"


def emit_tls(tls: ir.UpstreamTls, *, http2: bool) -> EnvoyMessage:
    """Returns TLS towards the endpoints: whom to ask for, and whom to believe."""
    san = tls_common_pb2.SubjectAltNameMatcher
    names = [san(san_type=san.DNS, matcher=exact(name)) for name in tls.dns_names]
    names += [san(san_type=san.URI, matcher=exact(uri)) for uri in tls.uris]
    authorities = base_pb2.DataSource(inline_bytes=tls.authorities) if tls.authorities else _SYSTEM_AUTHORITIES
    context = tls_pb2.UpstreamTlsContext(
        sni=tls.server_name,
        common_tls_context=tls_pb2.CommonTlsContext(
            alpn_protocols=["h2"] if http2 else ["http/1.1"],
            validation_context=tls_common_pb2.CertificateValidationContext(
                trusted_ca=authorities,
                match_typed_subject_alt_names=names,
                verify_certificate_spki=tls.pins,
            ),
        ),
    )
    if tls.client is not None:
        context.common_tls_context.tls_certificates.append(emit_certificate(tls.client))
    return base_pb2.TransportSocket(name="tls", typed_config=pack(context))


def emit_proxy_protocol(upstream: ir.Upstream, cluster: EnvoyMessage) -> EnvoyMessage:
    """Returns the socket that first says who the client is, and then speaks as the cluster would have."""
    inner = base_pb2.TransportSocket(name="raw", typed_config=pack(raw_buffer_pb2.RawBuffer()))
    if cluster.HasField("transport_socket"):
        inner = cluster.transport_socket
    version = proxy_protocol_config_pb2.ProxyProtocolConfig.Version.Value(upstream.proxy_protocol)
    config = upstream_proxy_protocol_pb2.ProxyProtocolUpstreamTransport(
        config=proxy_protocol_config_pb2.ProxyProtocolConfig(version=version), transport_socket=inner
    )
    return base_pb2.TransportSocket(name="proxy", typed_config=pack(config))


def emit_discovery(upstream: ir.Upstream, cluster: EnvoyMessage) -> None:
    """Writes into the cluster where its endpoints come from."""
    if upstream.dns is None:
        cluster.type = cluster_pb2.Cluster.EDS
        cluster.eds_cluster_config.eds_config.CopyFrom(_EDS)
        return
    cluster.cluster_type.CopyFrom(looked_up(upstream.dns.refresh_ms, dns_pb2.ALL))
    cluster.load_assignment.CopyFrom(assignment(cluster.name, [endpoint(upstream.dns.host, upstream.dns.port)]))


def looked_up(refresh_ms: int, family: int) -> EnvoyMessage:
    """Returns the type of a cluster whose endpoints have names; each address of a name is an endpoint of its own."""
    lookups = dns_cluster_pb2.DnsCluster(dns_refresh_rate=milliseconds(refresh_ms), dns_lookup_family=family)
    return cluster_pb2.Cluster.CustomClusterType(name="envoy.cluster.dns", typed_config=pack(lookups))


def emit_endpoints(upstream: ir.Upstream) -> bytes | None:
    """Returns the serialised ClusterLoadAssignment; None for an Upstream by DNS name."""
    if upstream.dns is not None:
        return None
    endpoints = [endpoint(e.address, e.port, e.weight) for e in upstream.endpoints]
    if upstream.keeps_clients:
        for each, made in zip(upstream.endpoints, endpoints, strict=True):
            emit_mark(each, made)
    if upstream.own_zone_minimum:
        return serialise(by_zone(upstream.name, zip(upstream.endpoints, endpoints, strict=True)))
    return serialise(assignment(upstream.name, endpoints))


def assignment(name: str, endpoints: list[EnvoyMessage]) -> EnvoyMessage:
    """Returns a ClusterLoadAssignment with one locality."""
    return endpoint_pb2.ClusterLoadAssignment(
        cluster_name=name, endpoints=[endpoint_components_pb2.LocalityLbEndpoints(lb_endpoints=endpoints)]
    )


def endpoint(address: str, port: int, weight: int = 1) -> EnvoyMessage:
    """Returns an endpoint at a TCP address."""
    socket = address_pb2.SocketAddress(address=address, port_value=port)
    return endpoint_components_pb2.LbEndpoint(
        endpoint=endpoint_components_pb2.Endpoint(address=address_pb2.Address(socket_address=socket)),
        load_balancing_weight=uint32(weight),
    )


def emit_thresholds(upstream: ir.Upstream) -> EnvoyMessage:
    """Returns the circuit breaker, with the retry budget."""
    thresholds = circuit_breaker_pb2.CircuitBreakers.Thresholds
    return thresholds(
        max_connections=uint32(upstream.max_connections),
        max_pending_requests=uint32(upstream.max_pending_requests),
        max_requests=uint32(upstream.max_requests),
        retry_budget=thresholds.RetryBudget(
            budget_percent=percent_pb2.Percent(value=upstream.retry_budget_percent),
            min_retry_concurrency=uint32(upstream.retry_min_concurrent),
        ),
    )


def emit_health_check(upstream: ir.Upstream, check: ir.HealthCheck) -> EnvoyMessage:
    """Returns an active health check, as frequent without traffic as with it, the first one at once."""
    message = health_check_pb2.HealthCheck(
        timeout=milliseconds(min(check.timeout_ms, MAX_FIRST_CHECK_MS)),
        interval=milliseconds(check.interval_ms),
        no_traffic_interval=milliseconds(check.interval_ms),
        unhealthy_threshold=uint32(check.unhealthy_threshold),
        healthy_threshold=uint32(check.healthy_threshold),
    )
    # Envoy would send the cluster's name, whose slash is no host.
    host = upstream.dns.host if upstream.dns else ".".join(reversed(upstream.name.split("/")))
    match check.type:
        case "TCP":
            message.tcp_health_check.SetInParent()
        case "GRPC":
            message.grpc_health_check.authority = host
        case _:
            message.http_health_check.host = host
            message.http_health_check.path = check.path
            message.http_health_check.retriable_statuses.append(_ANY_STATUS)
            if upstream.protocol != "HTTP1":
                message.http_health_check.codec_client_type = 1
    return message


def emit_ejection(upstream: ir.Upstream, cluster: EnvoyMessage) -> None:
    """Writes which endpoints are left alone for a while."""
    if upstream.outlier_detection is not None:
        cluster.outlier_detection.CopyFrom(emit_outlier_detection(upstream.outlier_detection))
    elif upstream.keeps_clients:
        # Or clients of an endpoint that takes no connections would wait until somebody takes it off the list.
        cluster.outlier_detection.CopyFrom(_GONE)


def emit_outlier_detection(outlier: ir.OutlierDetection) -> EnvoyMessage:
    """Returns a passive health check that counts consecutive errors only."""
    return outlier_detection_pb2.OutlierDetection(
        consecutive_5xx=uint32(outlier.consecutive_errors),
        interval=milliseconds(outlier.interval_ms),
        base_ejection_time=milliseconds(outlier.ejection_time_ms),
        max_ejection_percent=uint32(outlier.max_ejected_percent),
        enforcing_success_rate=uint32(0),
    )
