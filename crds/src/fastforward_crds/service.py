"""Services and their endpoints (core/v1, discovery.k8s.io/v1): where the pods of a cluster are found.

In: their documents. Out: models with only the part that means something here. Called by parse and the compiler.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .lists import Items
from .meta import Foreign, Port, Resource, ShortText

SERVICE_LABEL = "kubernetes.io/service-name"
"""By it an EndpointSlice says whose it is."""


class ServicePort(Foreign):
    """One port of a Service; which port of the pods it is, the EndpointSlices say."""

    name: ShortText = ""
    port: Port
    protocol: ShortText = "TCP"
    app_protocol: ShortText = ""


class ServiceSpec(Foreign):
    """What a Service says."""

    type: ShortText = "ClusterIP"
    external_name: ShortText = ""
    """With `type: ExternalName`: the DNS name that it stands for."""
    traffic_distribution: ShortText = ""
    """`PreferClose` and `PreferSameZone` (KEP-4444, KEP-3015) keep requests in the zone of who sends them."""
    ports: Annotated[tuple[ServicePort, ...], Items(most=1000)] = ()


class Service(Resource):
    """A name for a set of pods."""

    kind: Literal["Service"] = "Service"
    spec: ServiceSpec = ServiceSpec()


class EndpointConditions(Foreign):
    """State of an endpoint; what is not told counts as good. `serving` is `ready` but for endpoints that are ending."""

    ready: bool = True
    serving: bool | None = None
    terminating: bool = False


class TargetRef(Foreign):
    """The pod that an endpoint is."""

    uid: ShortText = ""


class SliceEndpoint(Foreign):
    """One pod."""

    addresses: Annotated[tuple[ShortText, ...], Items(least=1, most=100)]
    """All of the same pod: the first is enough."""
    conditions: EndpointConditions = EndpointConditions()
    target_ref: TargetRef = TargetRef()
    zone: ShortText = ""
    """Of the node, by its label `topology.kubernetes.io/zone`."""


class SlicePort(Foreign):
    """The number that a port of the Service has in the pods of this slice."""

    name: ShortText = ""
    port: Port | None = None
    protocol: ShortText = "TCP"


class EndpointSlice(Resource):
    """A part of the endpoints of a Service."""

    kind: Literal["EndpointSlice"] = "EndpointSlice"
    address_type: Annotated[str, Field(max_length=16)]
    endpoints: Annotated[tuple[SliceEndpoint, ...], Items(most=1000)] = ()
    ports: Annotated[tuple[SlicePort, ...], Items(most=100)] = ()

    @property
    def service(self) -> str:
        """NAMESPACE/NAME of the Service; empty for an orphan."""
        name = self.metadata.labels.get(SERVICE_LABEL, "")
        return f"{self.metadata.namespace}/{name}" if name else ""
