"""TLSRoute, TCPRoute and UDPRoute: which connections go where, whatever they carry.

In: their documents. Out: models. Called by parse and the compiler's translate/gatewayapi.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastforward_crds.lists import Items
from fastforward_crds.meta import Foreign, Resource

from .reference import Backend, Hostname, ParentRef, Section


class StreamRule(Foreign):
    """Where connections go."""

    name: Section | None = None
    backend_refs: Annotated[tuple[Backend, ...], Items(most=16)] = ()


class StreamRouteSpec(Foreign):
    """What such a route says; only TLSRoutes have host names."""

    parent_refs: Annotated[tuple[ParentRef, ...], Items(most=32)] = ()
    hostnames: Annotated[tuple[Hostname, ...], Items(most=16)] = ()
    rules: Annotated[tuple[StreamRule, ...], Items(most=16)] = ()


class TlsRoute(Resource):
    """Which TLS connections go where, by server name."""

    kind: Literal["TLSRoute"] = "TLSRoute"
    spec: StreamRouteSpec


class TcpRoute(Resource):
    """Which TCP connections go where."""

    kind: Literal["TCPRoute"] = "TCPRoute"
    spec: StreamRouteSpec


class UdpRoute(Resource):
    """Which datagrams go where."""

    kind: Literal["UDPRoute"] = "UDPRoute"
    spec: StreamRouteSpec
