"""HTTP/3: what makes a listener one of QUIC, and tells clients of it.

In: ir.Edge, ir.Listener. Out: parts of its second Envoy listener, and the filter of both. Called by edge. Source: RFC
9114; RFC 9000; RFC 7838 (alt-svc); Envoy, "HTTP/3 overview". A changed listener ends connections as one of TCP does.
"""

from __future__ import annotations

from fastforward_compiler import ir

from .chain import configured
from .protos import (
    EnvoyMessage,
    base_pb2,
    header_mutation_pb2,
    http_connection_manager_pb2,
    mutation_rules_pb2,
    protocol_pb2,
    quic_config_pb2,
    quic_transport_pb2,
    udp_socket_config_pb2,
)
from .wire import SET, boolean, header_option, milliseconds, pack, uint32

HTTP3 = "~http3"
"""Ends the name of the listener beside the one of TCP: no listener of a user's can be named so."""
ADVERTISEMENT = "alt-svc"

_STREAM_WINDOW_BYTES = 64 * 1024
_CONNECTION_WINDOW_BYTES = 1024 * 1024
_IDLE_MS = 300_000
"""QUIC forgets a silent connection by then at the latest: nobody says goodbye over UDP."""
_KNOWN_FOR_S = 86_400


def http3_name(edge: ir.Edge, listener: ir.Listener) -> str:
    """Returns the name of the listener of QUIC."""
    return f"{edge.name}/{listener.name}{HTTP3}"


def take_datagrams(edge: ir.Edge, message: EnvoyMessage) -> None:
    """Makes the listener one of QUIC."""
    options = quic_config_pb2.QuicProtocolOptions(
        idle_timeout=milliseconds(min(edge.connection_idle_timeout_ms, _IDLE_MS)), quic_protocol_options=bounds(edge)
    )
    message.udp_listener_config.quic_options.CopyFrom(options)
    socket = udp_socket_config_pb2.UdpSocketConfig(prefer_gro=boolean(True))
    message.udp_listener_config.downstream_socket_config.CopyFrom(socket)


def quic_socket(context: EnvoyMessage) -> EnvoyMessage:
    """Returns the socket that speaks TLS 1.3 in QUIC.

    Requests in the first flight could be sent again by whoever saw them (RFC 8470): none are taken.
    """
    context.common_tls_context.alpn_protocols[:] = ["h3"]
    config = quic_transport_pb2.QuicDownstreamTransport(
        downstream_tls_context=context, enable_early_data=boolean(False)
    )
    return base_pb2.TransportSocket(name="quic", typed_config=pack(config))


def speak_http3(edge: ir.Edge, manager: EnvoyMessage) -> None:
    """Makes the HTTP connection manager speak HTTP/3, with the bounds of HTTP/2."""
    manager.codec_type = http_connection_manager_pb2.HttpConnectionManager.HTTP3
    manager.http3_protocol_options.CopyFrom(protocol_pb2.Http3ProtocolOptions(quic_protocol_options=bounds(edge)))


def bounds(edge: ir.Edge) -> EnvoyMessage:
    """Returns what a connection may have under way."""
    return protocol_pb2.QuicProtocolOptions(
        max_concurrent_streams=uint32(edge.max_concurrent_streams),
        initial_stream_window_size=uint32(_STREAM_WINDOW_BYTES),
        initial_connection_window_size=uint32(_CONNECTION_WINDOW_BYTES),
    )


def advertisements(listener: ir.Listener, port: int) -> list[EnvoyMessage]:
    """Returns the filter that tells clients where HTTP/3 is spoken; what an upstream says of itself is not for them."""
    if not listener.http3:
        return []
    told = header_option(ADVERTISEMENT, f'h3=":{port}"; ma={_KNOWN_FOR_S}', SET)
    mutation = mutation_rules_pb2.HeaderMutation(append=told)
    mutations = header_mutation_pb2.Mutations(response_mutations=[mutation])
    return [configured(ADVERTISEMENT, header_mutation_pb2.HeaderMutation(mutations=mutations))]
