"""An Upstream as EntryPoint sees it: where messages go.

In: ir.Upstream with the protocol GRPC. Out: snapshot_pb2.Upstream. Called by emitter.
"""

from __future__ import annotations

from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_compiler import ir

_PROTOCOL = "GRPC"


def takes_messages(upstream: ir.Upstream) -> bool:
    """Whether messages may go there: the proxy's own TLS to it is nothing that EntryPoint has."""
    return upstream.protocol == _PROTOCOL and upstream.tls is None


def emit_upstream(upstream: ir.Upstream) -> snapshot_pb2.Upstream:
    """Returns the wire form; endpoints of weight 0 get nothing."""
    wire = snapshot_pb2.Upstream(
        endpoints=[
            snapshot_pb2.Endpoint(address=each.address, port=each.port) for each in upstream.endpoints if each.weight
        ]
    )
    if upstream.dns is not None:
        wire.dns_host, wire.dns_port = upstream.dns.host, upstream.dns.port
    return wire
