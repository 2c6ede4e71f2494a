"""An Upstream as EntryPoint sees it: where messages go, or who is asked whether requests may pass.

In: ir.Upstream that EntryPoint calls. Out: snapshot_pb2.Upstream. Called by emitter.
"""

from __future__ import annotations

from collections.abc import Iterable

from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_compiler import ir

from .servicetls import emit_tls

_PROTOCOL = "GRPC"
_POLICIES = {
    "RoundRobin": snapshot_pb2.LOAD_BALANCING_ROUND_ROBIN,
    "LeastRequest": snapshot_pb2.LOAD_BALANCING_LEAST_REQUEST,
    "Random": snapshot_pb2.LOAD_BALANCING_RANDOM,
    "RingHash": snapshot_pb2.LOAD_BALANCING_RING_HASH,
    # Both keep a key with its endpoint; how they spread keys over endpoints is each one's own affair.
    "Maglev": snapshot_pb2.LOAD_BALANCING_RING_HASH,
}


def is_called(upstream: ir.Upstream) -> bool:
    """Whether EntryPoint calls it: messages may go there, or it is asked whether requests may pass. Messages go by no
    TLS: that is the proxy's own.
    """
    return upstream.asked or (upstream.protocol == _PROTOCOL and upstream.tls is None)


def emit_upstream(upstream: ir.Upstream) -> snapshot_pb2.Upstream:
    """Returns the wire form; endpoints of weight 0 get nothing."""
    wire = snapshot_pb2.Upstream(
        endpoints=emit_endpoints(each for each in upstream.endpoints if each.weight),
        load_balancing=_POLICIES[upstream.policy],
        hash_on=upstream.hash_on,
    )
    if upstream.dns is not None:
        wire.dns_host, wire.dns_port = upstream.dns.host, upstream.dns.port
        wire.dns_refresh_ms = upstream.dns.refresh_ms
    if upstream.outlier_detection is not None:
        wire.outlier_detection.CopyFrom(_emit_outliers(upstream.outlier_detection))
    wire.proven = bool(upstream.workload)
    if upstream.tls is not None:
        wire.tls.CopyFrom(emit_tls(upstream.tls))
    return wire


def emit_endpoints(endpoints: Iterable[ir.Endpoint]) -> list[snapshot_pb2.Endpoint]:
    """Returns the wire form of each."""
    return [snapshot_pb2.Endpoint(address=each.address, port=each.port, weight=each.weight) for each in endpoints]


def _emit_outliers(outliers: ir.OutlierDetection) -> snapshot_pb2.OutlierDetection:
    return snapshot_pb2.OutlierDetection(
        consecutive_errors=outliers.consecutive_errors,
        ejection_time_ms=outliers.ejection_time_ms,
        max_ejected_percent=outliers.max_ejected_percent,
    )
