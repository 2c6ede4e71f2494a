"""GRPCRoute: which gRPC calls go where.

In: a GRPCRoute document. Out: `GrpcRoute`. Called by parse and the compiler's translate/gatewayapi.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastforward_crds.lists import Items
from fastforward_crds.meta import Foreign, Resource

from .filter import FilteredBackend, Path, RouteFilter
from .httproute import HttpTextMatch
from .persistence import SessionPersistence
from .reference import Hostname, ParentRef, Section


class GrpcMethodMatch(Foreign):
    """A condition on service and method."""

    type: Literal["Exact", "RegularExpression"] = "Exact"
    service: Path = ""
    method: Path = ""


class GrpcRouteMatch(Foreign):
    """One way to match; all that is set must hold."""

    method: GrpcMethodMatch | None = None
    headers: Annotated[tuple[HttpTextMatch, ...], Items(most=16)] = ()


class GrpcRouteRule(Foreign):
    """Matches, what happens to the call, and where it goes."""

    name: Section | None = None
    matches: Annotated[tuple[GrpcRouteMatch, ...], Items(most=64)] = ()
    filters: Annotated[tuple[RouteFilter, ...], Items(most=16)] = ()
    backend_refs: Annotated[tuple[FilteredBackend, ...], Items(most=16)] = ()
    session_persistence: SessionPersistence | None = None


class GrpcRouteSpec(Foreign):
    """What a GRPCRoute says."""

    parent_refs: Annotated[tuple[ParentRef, ...], Items(most=32)] = ()
    hostnames: Annotated[tuple[Hostname, ...], Items(most=16)] = ()
    rules: Annotated[tuple[GrpcRouteRule, ...], Items(most=16)] = ()


class GrpcRoute(Resource):
    """Which gRPC calls go where."""

    kind: Literal["GRPCRoute"] = "GRPCRoute"
    spec: GrpcRouteSpec
