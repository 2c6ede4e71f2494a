"""Clients that can't speak gRPC, in front of upstreams that speak nothing else.

In: a part of an Edge document. Out: `GrpcClients`. Called by edge.
"""

from __future__ import annotations

from .meta import Model


class GrpcClients(Model):
    """What the proxies translate into gRPC; each makes them look at every request of the Edge."""

    web: bool = False
    """Whether calls in gRPC-Web, binary or as text, become calls in gRPC where an upstream speaks that; pages of other
    origins need `cors` on the rule as well, which then grants the headers of gRPC-Web by itself.
    """
    transcoding: bool = False
    """Whether rules may make calls of requests in JSON (`transcode`)."""
