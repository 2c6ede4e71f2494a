"""A listener for datagrams: no connection, no TLS, no filter chain, only whereto.

In: ir.Listener. Out: what makes a Listener one of UDP. Called by edge. Envoy's `udp_proxy` has no weights: a tree of
matches takes their place. The port of the client, hashed, is a number below the sum of all weights, and each share has
as many of these numbers as it weighs. So the datagrams of a session stay together, and a client's next session may go
elsewhere. Source: Envoy, `UdpProxyConfig.matcher`, `ConsistentHashing`.
"""

from __future__ import annotations

from collections.abc import Iterator

from fastforward_compiler import ir

from .protos import (
    EnvoyMessage,
    consistent_hashing_pb2,
    network_inputs_pb2,
    udp_proxy_pb2,
    udp_route_pb2,
    udp_socket_config_pb2,
    xds_extension_pb2,
    xds_matcher_pb2,
)
from .route import MISSING_CLUSTER
from .wire import boolean, milliseconds, pack

SESSION_IDLE_MS = 30_000
"""A session is forgotten when neither side has sent anything for so long."""
_MAX_DATAGRAM_BYTES = 65_535
_SEED = 0xFF

_Matcher = xds_matcher_pb2.Matcher
_Predicate = _Matcher.MatcherList.Predicate


def emit_datagrams(listener: ir.Listener, stream: ir.Stream, message: EnvoyMessage) -> None:
    """Writes into the listener what takes datagrams; datagrams for an Upstream that is not there are dropped."""
    message.udp_listener_config.downstream_socket_config.CopyFrom(_socket())
    proxy = udp_proxy_pb2.UdpProxyConfig(
        stat_prefix=f"datagrams-{listener.port}",
        matcher=emit_shares(stream.shares),
        idle_timeout=milliseconds(SESSION_IDLE_MS),
        upstream_socket_config=_socket(),
    )
    message.listener_filters.add(name="datagrams", typed_config=pack(proxy))


def emit_shares(shares: tuple[ir.Share, ...]) -> EnvoyMessage:
    """Returns the tree of matches: the first share takes the highest numbers, the last one what is left."""
    matcher = _Matcher(on_no_match=_route(shares[-1].upstream if shares else ""))
    for upstream, threshold, total in _thresholds(shares):
        predicate = _Predicate(single_predicate=_at_least(threshold, total))
        matcher.matcher_list.matchers.add(predicate=predicate, on_match=_route(upstream))
    return matcher


def _thresholds(shares: tuple[ir.Share, ...]) -> Iterator[tuple[str, int, int]]:
    total = sum(share.weight for share in shares)
    left = total
    for share in shares[:-1]:
        left -= share.weight
        yield share.upstream, left, total


def _at_least(threshold: int, modulo: int) -> EnvoyMessage:
    hashing = consistent_hashing_pb2.ConsistentHashing(threshold=threshold, modulo=modulo, seed=_SEED)
    return _Predicate.SinglePredicate(
        input=_extension("port", network_inputs_pb2.SourcePortInput()), custom_match=_extension("share", hashing)
    )


def _route(upstream: str) -> EnvoyMessage:
    route = udp_route_pb2.Route(cluster=upstream or MISSING_CLUSTER)
    return _Matcher.OnMatch(action=_extension("route", route))


def _extension(name: str, config: EnvoyMessage) -> EnvoyMessage:
    return xds_extension_pb2.TypedExtensionConfig(name=name, typed_config=pack(config))


def _socket() -> EnvoyMessage:
    """Takes datagrams of any size: Envoy cuts at 1500 bytes otherwise. Joined ones would be cut again."""
    size = {"value": _MAX_DATAGRAM_BYTES}
    return udp_socket_config_pb2.UdpSocketConfig(max_rx_datagram_size=size, prefer_gro=boolean(False))
