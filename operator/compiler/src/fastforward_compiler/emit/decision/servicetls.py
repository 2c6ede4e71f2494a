"""What the certificate of an endpoint must prove to EntryPoint, to its wire form.

In: ir.UpstreamTls. Out: snapshot_pb2.ServiceTls. Called by upstream and oidc. What is shown is the proxy's alone.
"""

from __future__ import annotations

from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_compiler import ir


def emit_tls(tls: ir.UpstreamTls) -> snapshot_pb2.ServiceTls:
    """Returns the wire form."""
    return snapshot_pb2.ServiceTls(
        server_name=tls.server_name, authorities=tls.authorities, names=tls.dns_names, pins=tls.pins
    )
