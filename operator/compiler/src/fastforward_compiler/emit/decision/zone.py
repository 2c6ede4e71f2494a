"""Where the endpoints of an Upstream are, for whoever explains what becomes of a request.

In: ir.Upstream. Out: snapshot_pb2.Zones. Called by emitter. Of Upstreams for which no zone counts nothing is told: who
is asked there is the same in all zones.
"""

from __future__ import annotations

from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_compiler import ir

from .upstream import emit_endpoints


def counts_zones(upstream: ir.Upstream) -> bool:
    """Whether proxies keep to endpoints of their own zone: not behind a name, of which nobody knows the zones."""
    return upstream.own_zone_minimum > 0 and upstream.dns is None


def emit_zones(upstream: ir.Upstream) -> snapshot_pb2.Zones:
    """Returns the wire form; endpoints of weight 0 get nothing."""
    zones: dict[str, list[ir.Endpoint]] = {}
    for endpoint in upstream.endpoints:
        if endpoint.weight:
            zones.setdefault(endpoint.zone, []).append(endpoint)
    return snapshot_pb2.Zones(
        minimum=upstream.own_zone_minimum,
        zones=[snapshot_pb2.Zone(name=name, endpoints=emit_endpoints(zones[name])) for name in sorted(zones)],
    )
