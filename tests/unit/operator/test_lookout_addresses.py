"""Addresses of Gateways whose proxies are pods: what the Service has, and nothing any more when it is gone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fastforward_compiler import ir
from fastforward_compiler.emit.kubernetes import PodSettings, edge_names
from fastforward_operator.addresses import AddressPool
from fastforward_operator.kubernetes.client import ApiError
from fastforward_operator.kubernetes.dataplane import DataPlane
from fastforward_operator.kubernetes.lookout import Lookout, addresses_of

EDGE = ir.Edge(name=f"shop/public{ir.GATEWAY}", hosts=(), listeners=())
NAMES = edge_names(EDGE.name)
URL = "gateway:shop/public"


def service(kind: str, *ingress: dict[str, str], **spec: Any) -> dict[str, Any]:  # noqa: ANN401
    told = {"status": {"loadBalancer": {"ingress": list(ingress)}}} if ingress else {}
    return {"metadata": {"name": NAMES.base}, "spec": {"type": kind, **spec}, **told}


IN_CLUSTER = {"clusterIPs": ["10.0.0.1", "2001:db8::1"]}


@pytest.mark.parametrize(
    ("found", "addresses"),
    [
        (service("LoadBalancer", {"ip": "192.0.2.1"}, {"ip": "192.0.2.2"}, **IN_CLUSTER), ("192.0.2.1", "192.0.2.2")),
        (service("LoadBalancer", {"hostname": "lb-1.example.com"}, **IN_CLUSTER), ("lb-1.example.com",)),
        (service("LoadBalancer", {"hostname": "lb.example.com", "ip": "192.0.2.1"}), ("192.0.2.1",)),
        (service("LoadBalancer", {"ports": ""}, **IN_CLUSTER), ()),
        (service("LoadBalancer", **IN_CLUSTER), ()),
        (service("ClusterIP", **IN_CLUSTER), ("10.0.0.1", "2001:db8::1")),
        (service("NodePort", **IN_CLUSTER), ("10.0.0.1", "2001:db8::1")),
        (service("ClusterIP", clusterIPs=["None"]), ()),
    ],
    ids=["addresses", "host name", "both", "neither", "pending", "in the cluster", "nodes", "headless"],
)
def test_where_a_service_is_reached(found: dict[str, Any], addresses: tuple[str, ...]) -> None:
    assert addresses_of(found) == addresses


class Scene:
    """A Lookout over Services that the test names."""

    def __init__(self) -> None:
        self.services: list[dict[str, Any]] = []
        self.fails = False
        self.told: list[tuple[str, tuple[str, ...]]] = []
        self.documents: dict[str, bytes | None] = {}
        settings = PodSettings(namespace="system", envoy_image="envoy:1", decision_image="decision:1")
        client = cast("Any", SimpleNamespace(each=self.each))
        self.plane = DataPlane(client, cast("Any", None), settings, lambda: True, "system")
        self.lookout = Lookout(self.plane, on_addresses=self.take)
        self.pool = AddressPool((), by_service=True)
        self.pool.begin(self.documents.update)
        self.plane.observe_step(ir.Delta(edges=ir.Changes(upserts=(EDGE,))))

    async def each(self, _: str, __: str) -> AsyncIterator[dict[str, Any]]:
        for found in self.services:
            yield found
        if self.fails:
            raise ApiError(500, "no")

    def take(self, gateway: str, addresses: Collection[str]) -> None:
        self.told.append((gateway, tuple(addresses)))
        self.pool.take(gateway, addresses)


async def test_a_gateway_whose_service_is_gone_has_no_address() -> None:
    scene = Scene()
    scene.services = [service("LoadBalancer", {"ip": "192.0.2.1"}), {"metadata": {"name": "other"}}]
    await scene.lookout.look_at_addresses()
    assert scene.documents[URL] is not None
    scene.services = []
    for _ in range(2):
        await scene.lookout.look_at_addresses()
    assert scene.told == [("shop/public", ("192.0.2.1",)), ("shop/public", ())]
    assert scene.documents[URL] is None


async def test_nothing_is_kept_of_a_gateway_that_is_gone() -> None:
    scene = Scene()
    scene.services = [service("LoadBalancer", {"hostname": "lb-1.example.com"})]
    await scene.lookout.look_at_addresses()
    scene.plane.observe_step(ir.Delta(edges=ir.Changes(removed=(EDGE.name,))))
    await scene.lookout.look_at_addresses()
    assert scene.documents[URL] is None
    assert URL not in scene.pool._told


async def test_of_services_that_cannot_be_listed_nothing_is_said() -> None:
    scene = Scene()
    scene.services = [service("ClusterIP", **IN_CLUSTER)]
    await scene.lookout.look_at_addresses()
    scene.services, scene.fails = [], True
    with pytest.raises(ApiError):
        await scene.lookout.look_at_addresses()
    assert scene.told == [("shop/public", ("10.0.0.1", "2001:db8::1"))]
