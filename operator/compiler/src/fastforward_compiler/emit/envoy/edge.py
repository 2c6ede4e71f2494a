"""An Edge to its listeners: sockets, TLS by server name, the HTTP connection manager with its hardened defaults.

In: ir.Edge and EmitSettings, nothing else: a route never changes a listener, for a changed listener drains connections.
Out: serialised Listeners by name. Called by emitter.
"""

from __future__ import annotations

from fastforward_compiler import ir

from .accesslog import emit_access_log
from .addresslist import list_filters
from .chain import (
    LISTENER_HEADER,
    NO_TABLE,
    PATH_END,
    PATH_HEADER,
    PORT_MARK,
    SCOPE_HEADER,
    SELECT_HEADER,
    TABLE_HEADER,
    http_filters,
)
from .compression import compression_filters
from .concurrency import concurrency_filters
from .datagrams import emit_datagrams
from .ends import emit_ends
from .grpcweb import grpc_web_filters
from .http3 import advertisements, http3_name, quic_socket, speak_http3, take_datagrams
from .protection import security_filters
from .protos import (
    EnvoyMessage,
    address_pb2,
    base_pb2,
    connection_limit_pb2,
    early_header_mutation_pb2,
    extension_pb2,
    http_connection_manager_pb2,
    listener_components_pb2,
    listener_pb2,
    mutation_rules_pb2,
    protocol_pb2,
    proxy_protocol_pb2,
    secret_pb2,
    string_pb2,
    tcp_proxy_pb2,
    tls_common_pb2,
    tls_inspector_pb2,
    tls_pb2,
)
from .refusal import emit_local_replies
from .resource import EmitSettings
from .route import MISSING_CLUSTER
from .transcoding import transcoder_filters
from .wire import ADS, PATIENT_ADS, SET, boolean, header_option, header_value, milliseconds, pack, serialise, uint32

_HCM = http_connection_manager_pb2.HttpConnectionManager
_CONNECTION_BUFFER_BYTES = 64 * 1024
_STREAM_WINDOW_BYTES = 64 * 1024
_CONNECTION_WINDOW_BYTES = 1024 * 1024
_FORGEABLE = ("x-ff-", "x-envoy-")
"""Prefixes of request headers that only the gateway may write."""
_FORWARDED = ("x-forwarded-", "forwarded", "x-real-ip")
"""The same, unless something in front is trusted."""
_HIDDEN = "%CEL(request.url_path.contains('/..;') || request.url_path.contains('/.;') ? '-' : '')%"
"""Envoy takes `..;x` for `..`, as servlet containers do, but decodes `%2e%2e;x` to it behind that: such paths, which
mean another one to upstreams, begin as none of any rule does."""
_NOBODY = address_pb2.CidrRange(address_prefix="255.255.255.255", prefix_len=uint32(32))
_TLS_VERSIONS = {"1.2": tls_common_pb2.TlsParameters.TLSv1_2, "1.3": tls_common_pb2.TlsParameters.TLSv1_3}


def emit_listeners(edge: ir.Edge, settings: EmitSettings) -> dict[str, bytes]:
    """Returns the serialised listeners of an Edge by name: `EDGE/LISTENER`."""
    made = {f"{edge.name}/{each.name}": emit_listener(edge, each, settings) for each in edge.listeners}
    made |= {http3_name(edge, each): emit_http3(edge, each, settings) for each in edge.listeners if each.http3}
    return {name: serialise(message) for name, message in made.items()}


def emit_listener(edge: ir.Edge, listener: ir.Listener, settings: EmitSettings) -> EnvoyMessage:
    """Returns one listener."""
    addresses = bound_addresses(edge, listener, settings, listener.transport)
    message = bound_listener(f"{edge.name}/{listener.name}", addresses)
    if listener.transport == "UDP":
        emit_datagrams(listener, listener.stream or ir.Stream(shares=()), message)
    else:
        _emit_connections(edge, listener, message, settings)
    return message


def bound_listener(name: str, addresses: list[EnvoyMessage]) -> EnvoyMessage:
    """Returns a listener at these addresses, with nothing behind."""
    first, *others = addresses
    more = [listener_pb2.AdditionalAddress(address=other) for other in others]
    return listener_pb2.Listener(name=name, address=first, additional_addresses=more)


def emit_http3(edge: ir.Edge, listener: ir.Listener, settings: EmitSettings) -> EnvoyMessage:
    """Returns the listener of QUIC beside one of TLS: the same certificates, filters and tables."""
    message = bound_listener(http3_name(edge, listener), bound_addresses(edge, listener, settings, "UDP"))
    message.per_connection_buffer_limit_bytes.CopyFrom(uint32(_CONNECTION_BUFFER_BYTES))
    take_datagrams(edge, message)
    message.filter_chains.extend(emit_filter_chains(edge, listener, settings, http3=True))
    return message


def _emit_connections(edge: ir.Edge, listener: ir.Listener, message: EnvoyMessage, settings: EmitSettings) -> None:
    message.per_connection_buffer_limit_bytes.CopyFrom(uint32(_CONNECTION_BUFFER_BYTES))
    message.filter_chains.extend(emit_filter_chains(edge, listener, settings))
    if listener.proxy_protocol:
        # Before TLS is looked at; a connection that does not begin so is closed.
        message.listener_filters.add(name="proxy", typed_config=pack(proxy_protocol_pb2.ProxyProtocol()))
    if edge.traefik is not None:
        admit_only(settings.front_addresses or edge.traefik.addresses, message)
    elif listener.proxy_protocol:
        admit_only(edge.trusted_addresses, message)
    if listener.all_certificates or listener.chains:
        message.listener_filters.add(name="tls", typed_config=pack(tls_inspector_pb2.TlsInspector()))


def admit_only(addresses: tuple[str, ...], message: EnvoyMessage) -> None:
    """Narrows the listener's chains to direct peers of these networks, whoever they say that they speak for.

    A connection that no chain takes is closed: who may say whose the request is, nobody else may be.
    """
    for chain in message.filter_chains:
        for address in addresses:
            network, _, length = address.partition("/")
            chain.filter_chain_match.direct_source_prefix_ranges.add(
                address_prefix=network, prefix_len=uint32(int(length))
            )


def bound_addresses(edge: ir.Edge, listener: ir.Listener, settings: EmitSettings, transport: str) -> list[EnvoyMessage]:
    """Returns where the listener listens."""
    port = bound_port(listener, settings)
    own = () if settings.listen_everywhere else edge.addresses
    protocol = address_pb2.SocketAddress.Protocol.Value(transport)
    socket = address_pb2.SocketAddress
    return [
        address_pb2.Address(socket_address=socket(protocol=protocol, address=address, port_value=port))
        for address in own or settings.bind_address.split(",")
    ]


def bound_port(listener: ir.Listener, settings: EmitSettings) -> int:
    """Returns the number of the listener's port here."""
    return settings.ports.get(listener.port, listener.port)


def emit_filter_chains(
    edge: ir.Edge, listener: ir.Listener, settings: EmitSettings, *, http3: bool = False
) -> list[EnvoyMessage]:
    """Returns a chain for each certificate, matched by server name; one chain for clear text.

    A server name that several certificates hold belongs to the first: Envoy refuses two chains that match alike.
    """
    if listener.stream is not None:
        return [listener_components_pb2.FilterChain(name="stream", filters=stream_filters(edge, listener.stream))]
    if listener.chains:
        return [emit_chain(edge, listener, chain, settings) for chain in listener.chains]
    chain = listener_components_pb2.FilterChain
    filters = network_filters(edge, listener, listener.name, settings, http3=http3)
    if not listener.certificates:
        return [chain(name="plain", filters=filters)]
    taken: set[str] = set()
    chains = []
    for certificate in listener.certificates:
        names = [host for host in certificate.hosts if host not in taken]
        taken.update(names)
        if names:
            match = listener_components_pb2.FilterChainMatch(server_names=names)
            context = tls_context([certificate.name], listener.min_tls)
            if listener.client_ca:
                context.common_tls_context.validation_context.trusted_ca.inline_bytes = listener.client_ca
                context.require_client_certificate.CopyFrom(boolean(not listener.client_optional))
            socket = quic_socket(context) if http3 else transport_socket(context)
            chains.append(
                chain(name=certificate.name, filter_chain_match=match, filters=filters, transport_socket=socket)
            )
    return chains


def emit_chain(edge: ir.Edge, listener: ir.Listener, chain: ir.Chain, settings: EmitSettings) -> EnvoyMessage:
    """Returns the chain of the connections with certain server names, or of those with any other."""
    names = [certificate.name for certificate in chain.certificates]
    stream = chain.stream
    message = listener_components_pb2.FilterChain(
        name=chain.name,
        filters=network_filters(edge, listener, chain.name, settings)
        if stream is None
        else stream_filters(edge, stream),
    )
    if names:
        message.transport_socket.CopyFrom(transport_socket(chain_context(names, listener.min_tls, chain)))
    if chain.hosts:
        message.filter_chain_match.server_names.extend(chain.hosts)
    return message


def tls_context(secrets: list[str], min_tls: str, *, http: bool = True) -> EnvoyMessage:
    """Returns TLS with the certificates of these names, offering HTTP/2 and HTTP/1.1 (RFC 7301)."""
    return tls_pb2.DownstreamTlsContext(
        common_tls_context=tls_pb2.CommonTlsContext(
            tls_params=tls_common_pb2.TlsParameters(tls_minimum_protocol_version=_TLS_VERSIONS[min_tls]),
            tls_certificate_sds_secret_configs=[secret_config(secret) for secret in secrets],
            alpn_protocols=["h2", "http/1.1"] if http else [],
        )
    )


def chain_context(secrets: list[str], min_tls: str, chain: ir.Chain) -> EnvoyMessage:
    """Returns the TLS of a chain, with what clients must show."""
    context = tls_context(secrets, min_tls, http=chain.stream is None)
    if chain.client_ca:
        validation = context.common_tls_context.validation_context
        validation.trusted_ca.inline_bytes = chain.client_ca
        if chain.client_optional:
            validation.trust_chain_verification = tls_common_pb2.CertificateValidationContext.ACCEPT_UNTRUSTED
        else:
            context.require_client_certificate.CopyFrom(boolean(True))
    return context


def transport_socket(context: EnvoyMessage) -> EnvoyMessage:
    """Returns the socket that speaks TLS so."""
    return base_pb2.TransportSocket(name="tls", typed_config=pack(context))


def network_filters(
    edge: ir.Edge, listener: ir.Listener, name: str, settings: EmitSettings, *, http3: bool = False
) -> list[EnvoyMessage]:
    """Returns what a connection passes: the bound on connections, then HTTP. `name` is what rules call it."""
    limit = connection_limit_pb2.ConnectionLimit(
        stat_prefix="connections", max_connections={"value": edge.max_connections}
    )
    manager = emit_http(edge, listener, name, settings)
    if http3:
        speak_http3(edge, manager)
    return [
        listener_components_pb2.Filter(name="connections", typed_config=pack(limit)),
        listener_components_pb2.Filter(name="http", typed_config=pack(manager)),
    ]


def stream_filters(edge: ir.Edge, stream: ir.Stream) -> list[EnvoyMessage]:
    """Returns what a connection passes that nobody looks into: the bound on connections, then whereto."""
    limit = connection_limit_pb2.ConnectionLimit(
        stat_prefix="connections", max_connections={"value": edge.max_connections}
    )
    proxy = tcp_proxy_pb2.TcpProxy(stat_prefix="stream", idle_timeout=milliseconds(edge.connection_idle_timeout_ms))
    for share in stream.shares:
        name = share.upstream or MISSING_CLUSTER
        proxy.weighted_clusters.clusters.add(name=name, weight=share.weight)
    if not stream.shares:
        proxy.cluster = MISSING_CLUSTER
    return [
        listener_components_pb2.Filter(name="connections", typed_config=pack(limit)),
        listener_components_pb2.Filter(name="stream", typed_config=pack(proxy)),
    ]


def emit_http(edge: ir.Edge, listener: ir.Listener, name: str, settings: EmitSettings) -> EnvoyMessage:
    """Returns the HTTP connection manager, hardened as Envoy's edge best practices say."""
    hops = trusted_hops(edge, listener)
    manager = _HCM(
        stat_prefix="http",
        server_name="fastforward",
        scoped_routes=scoped_routes(),
        http_filters=http_filters(
            settings.decision_timeout_ms,
            for_answers(edge, listener, settings),
            for_upstreams(edge),
        ),
        early_header_mutation_extensions=[early_mutations(edge, listener, name)],
        use_remote_address=boolean(True),
        xff_num_trusted_hops=hops,
        # Nobody is internal: x-envoy-* from a private network is as forged as from anywhere.
        internal_address_config=_HCM.InternalAddressConfig(cidr_ranges=[_NOBODY]),
        always_set_request_id_in_response=True,
        preserve_external_request_id=hops > 0,
        normalize_path=boolean(True),
        merge_slashes=True,
        path_with_escaped_slashes_action=_HCM.UNESCAPE_AND_FORWARD,
        # Backends of a Gateway get the host as the client wrote it, port and all.
        strip_any_host_port=not listener.scope,
        strip_trailing_host_dot=True,
        max_request_headers_kb=uint32(-(-edge.max_header_bytes // 1024)),
        request_headers_timeout=milliseconds(edge.request_headers_timeout_ms),
        stream_idle_timeout=milliseconds(edge.stream_idle_timeout_ms),
        local_reply_config=emit_local_replies(),
        upgrade_configs=[_HCM.UpgradeConfig(upgrade_type="websocket")],
        common_http_protocol_options=common_options(edge),
        http2_protocol_options=http2_options(edge),
    )
    if listener.client_ca:
        # What clients wrote of themselves goes, what was verified comes (RFC 9440 is not what Envoy speaks).
        manager.forward_client_cert_details = _HCM.SANITIZE_SET
        told = _HCM.SetCurrentClientCertDetails(subject=boolean(True), dns=True, uri=True)
        manager.set_current_client_cert_details.CopyFrom(told)
    if edge.access_log:
        manager.access_log.append(emit_access_log(settings.access_log, edge.name, name, lists=edge.has_lists))
    if edge.tells_ends:
        manager.access_log.append(emit_ends())
    return manager


def for_answers(edge: ir.Edge, listener: ir.Listener, settings: EmitSettings) -> list[EnvoyMessage]:
    """Returns the filters for all requests and answers: what is written first is compressed last."""
    tls = bool(listener.all_certificates) or (edge.traefik is not None and edge.traefik.terminates)
    return [
        *advertisements(listener, bound_port(listener, settings)),
        *security_filters(edge.security_headers, tls=tls),
        *compression_filters(edge.compression),
        # Before admission, which asks what it found.
        *list_filters(edge),
    ]


def for_upstreams(edge: ir.Edge) -> list[EnvoyMessage]:
    """Returns the filters for all that goes on to an upstream: refusals by the bound are translated, too."""
    return [*grpc_web_filters(edge), *transcoder_filters(edge), *concurrency_filters(edge.adaptive_concurrency)]


def trusted_hops(edge: ir.Edge, listener: ir.Listener) -> int:
    """Returns how many proxies in front are believed by what they write into requests: not what passes TLS through."""
    return 0 if listener.proxy_protocol else edge.trusted_hop_count


def scoped_routes() -> EnvoyMessage:
    """Returns where tables come from: identical on every listener, so that all of them share one copy."""
    routes = http_connection_manager_pb2.ScopedRoutes
    fragment = routes.ScopeKeyBuilder.FragmentBuilder
    extractor = fragment.HeaderValueExtractor
    # Of `EDGE|HOST:PORT` the part before the port, which is no part of the host's name.
    scope = extractor(name=SCOPE_HEADER, element_separator=PORT_MARK, index=0)
    fragments = [fragment(header_value_extractor=each) for each in (scope, extractor(name=TABLE_HEADER, index=0))]
    return routes(
        name="tables",
        scope_key_builder=routes.ScopeKeyBuilder(fragments=fragments),
        rds_config_source=PATIENT_ADS,
        scoped_rds=http_connection_manager_pb2.ScopedRds(scoped_rds_config_source=PATIENT_ADS),
    )


def early_mutations(edge: ir.Edge, listener: ir.Listener, name: str) -> EnvoyMessage:
    """Returns the changes before the first look at the tables: what clients forged goes, scope and path are written."""
    mutation = mutation_rules_pb2.HeaderMutation
    forgeable = _FORGEABLE if trusted_hops(edge, listener) else _FORGEABLE + _FORWARDED
    removals = [
        mutation(
            remove_on_match=mutation.RemoveOnMatch(
                key_matcher=string_pb2.StringMatcher(prefix=prefix, ignore_case=True)
            )
        )
        for prefix in forgeable
    ]
    written = (
        (SCOPE_HEADER, f"{header_value(listener.scope or edge.name)}|%REQ(:AUTHORITY)%"),
        (TABLE_HEADER, NO_TABLE),
        (SELECT_HEADER, NO_TABLE),
        (LISTENER_HEADER, header_value(name)),
        (PATH_HEADER, f"{_HIDDEN}%PATH(NQ)%{PATH_END}"),
    )
    config = early_header_mutation_pb2.HeaderMutation(
        mutations=[*removals, *(mutation(append=header_option(name, value, SET)) for name, value in written)]
    )
    return extension_pb2.TypedExtensionConfig(name="scope", typed_config=pack(config))


def common_options(edge: ir.Edge) -> EnvoyMessage:
    """Returns the bounds that hold for every version of HTTP."""
    options = protocol_pb2.HttpProtocolOptions(
        idle_timeout=milliseconds(edge.connection_idle_timeout_ms),
        max_headers_count=uint32(edge.max_headers),
        headers_with_underscores_action=protocol_pb2.HttpProtocolOptions.REJECT_REQUEST,
    )
    if edge.max_requests_per_connection:
        options.max_requests_per_connection.CopyFrom(uint32(edge.max_requests_per_connection))
    return options


def http2_options(edge: ir.Edge) -> EnvoyMessage:
    """Returns the bounds of HTTP/2 (CVE-2019-9511 and its relatives; CVE-2023-44487)."""
    return protocol_pb2.Http2ProtocolOptions(
        max_concurrent_streams=uint32(edge.max_concurrent_streams),
        initial_stream_window_size=uint32(_STREAM_WINDOW_BYTES),
        initial_connection_window_size=uint32(_CONNECTION_WINDOW_BYTES),
    )


def secret_config(name: str) -> EnvoyMessage:
    """Returns the reference to a secret that comes over ADS."""
    return secret_pb2.SdsSecretConfig(name=name, sds_config=ADS)
