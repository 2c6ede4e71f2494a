"""Events as Routes of one namespace tell them, and who hears them. Called by tests."""

from __future__ import annotations

from fastforward_entrypoint.messages.events import Happened, Kind

from fastforward.message.v1 import envelope_pb2

from .messages import TARGET

PLACED = "shop.orders.placed"


def kind(type_: str = PLACED, tenant: str = "acme", *, namespace: str = "shop", edge_namespace: str = "shop") -> Kind:
    """Which events somebody listens to."""
    return Kind(namespace, edge_namespace, type_, tenant)


def happened(
    event: envelope_pb2.Envelope, *, route: str = TARGET, edge_namespace: str = "shop", again: bool = False
) -> Happened:
    """An event of a Route and an Edge."""
    return Happened(event, route, edge_namespace, again)
