"""GatewayClass, Gateway and ListenerSet: where traffic comes in.

In: their documents. Out: models. Called by parse and the compiler's translate/gatewayapi.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from fastforward_crds.formats import Label, Name
from fastforward_crds.lists import Items
from fastforward_crds.meta import ClusterMeta, Foreign, LongText, Port, Resource, ShortText

from .reference import GROUP, Hostname, Namespaces, ObjectRef, Section


class GatewayClassSpec(Foreign):
    """What a GatewayClass says."""

    controller_name: ShortText
    parameters_ref: ObjectRef | None = None


class GatewayClass(Resource):
    """A kind of Gateways, and whose they are."""

    kind: Literal["GatewayClass"] = "GatewayClass"
    metadata: ClusterMeta
    spec: GatewayClassSpec


class ListenerTls(Foreign):
    """How a listener ends TLS, or that it does not."""

    mode: ShortText = "Terminate"
    certificate_refs: Annotated[tuple[ObjectRef, ...], Items(most=64)] = ()
    options: dict[ShortText, ShortText] = Field(default_factory=dict)


class RouteKind(Foreign):
    """A kind of routes."""

    group: ShortText = GROUP
    kind: ShortText


class AllowedRoutes(Foreign):
    """Routes that may attach."""

    namespaces: Namespaces = Namespaces()
    kinds: Annotated[tuple[RouteKind, ...], Items(most=8)] = ()


class GatewayListener(Foreign):
    """One port and host name."""

    name: Section
    hostname: Hostname | None = None
    port: Port
    protocol: ShortText
    tls: ListenerTls | None = None
    allowed_routes: AllowedRoutes = AllowedRoutes()


class GatewayAddress(Foreign):
    """An address that is asked for."""

    type: ShortText = "IPAddress"
    value: ShortText = ""


class NoNamespaces(Namespaces):
    """The same, where none is the default."""

    from_: Annotated[Literal["All", "Selector", "Same", "None"], Field(alias="from")] = "None"


class AllowedListeners(Foreign):
    """ListenerSets that may attach."""

    namespaces: NoNamespaces = NoNamespaces()


class ClientValidation(Foreign):
    """What clients' certificates must prove."""

    ca_certificate_refs: Annotated[tuple[ObjectRef, ...], Items(least=1, most=8)]
    mode: Literal["AllowValidOnly", "AllowInsecureFallback"] = "AllowValidOnly"


class FrontendTls(Foreign):
    """TLS towards clients."""

    validation: ClientValidation | None = None


class PortTls(Foreign):
    """The same on one port."""

    port: Port
    tls: FrontendTls = FrontendTls()


class Frontend(Foreign):
    """TLS towards clients on all ports, and on some."""

    default: FrontendTls = FrontendTls()
    per_port: Annotated[tuple[PortTls, ...], Items(most=64)] = ()


class BackendSide(Foreign):
    """TLS towards backends."""

    client_certificate_ref: ObjectRef | None = None


class GatewayTls(Foreign):
    """TLS of the whole Gateway."""

    backend: BackendSide = BackendSide()
    frontend: Frontend = Frontend()


class ParametersRef(ObjectRef):
    """The ConfigMap that says of the pods what a Gateway can't: it is in the Gateway's own namespace."""

    namespace: None = None


class Infrastructure(Foreign):
    """What is made for the Gateway."""

    labels: dict[ShortText, ShortText] = Field(default_factory=dict)
    annotations: dict[ShortText, LongText] = Field(default_factory=dict)
    parameters_ref: ParametersRef | None = None


class GatewaySpec(Foreign):
    """What a Gateway says."""

    gateway_class_name: Name
    listeners: Annotated[tuple[GatewayListener, ...], Items(most=64)] = ()
    addresses: Annotated[tuple[GatewayAddress, ...], Items(most=16)] = ()
    allowed_listeners: AllowedListeners = AllowedListeners()
    tls: GatewayTls = GatewayTls()
    infrastructure: Infrastructure = Infrastructure()


class Gateway(Resource):
    """Where traffic comes in."""

    kind: Literal["Gateway"] = "Gateway"
    spec: GatewaySpec


class GatewayRef(Foreign):
    """The Gateway that a ListenerSet belongs to."""

    group: ShortText = GROUP
    kind: ShortText = "Gateway"
    name: Name
    namespace: Label | None = None


class ListenerSetSpec(Foreign):
    """What a ListenerSet says."""

    parent_ref: GatewayRef
    listeners: Annotated[tuple[GatewayListener, ...], Items(most=64)] = ()


class ListenerSet(Resource):
    """Further listeners of a Gateway."""

    kind: Literal["ListenerSet"] = "ListenerSet"
    spec: ListenerSetSpec
