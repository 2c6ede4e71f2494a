"""gRPC-Web: browsers' calls, whose trailers are part of the body, to calls in gRPC.

In: ir.Edge and its entries. Out: the filter, and what takes a route out of it. Called by edge and entry. Source: Envoy,
"gRPC-Web". It knows its requests by their content type.
"""

from __future__ import annotations

from google.protobuf import any_pb2

from fastforward_compiler import ir

from .chain import configured
from .protos import EnvoyMessage, grpc_web_pb2, route_components_pb2
from .wire import pack

GRPC_WEB = "grpc.web"

_NONE = pack(route_components_pb2.FilterConfig(disabled=True))


def grpc_web_filters(edge: ir.Edge) -> list[EnvoyMessage]:
    """Returns the filter, if there is one. Behind all that matches and judges: these see what the client sent."""
    return [configured(GRPC_WEB, grpc_web_pb2.GrpcWeb())] if edge.grpc_web else []


def emit_no_grpc_web(entry: ir.Entry, edge: ir.Edge) -> dict[str, any_pb2.Any]:
    """Returns what takes a route out of it whose upstream does not speak gRPC: it may speak gRPC-Web by itself.

    Of a tenant's route it is what everybody's says: Envoy looks once, at the first route that a request finds. So a
    gate, behind which there are only tenants' routes, stays in.
    """
    served = entry.gate or ir.speaks_grpc(entry.destination)
    return {GRPC_WEB: _NONE} if edge.grpc_web and not served else {}
