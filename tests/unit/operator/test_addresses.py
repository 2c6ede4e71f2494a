"""Each Gateway of ours has one address of the pool, keeps it, and gives it back when it goes."""

from __future__ import annotations

import json
from typing import Any

import fastforward_crds as crds
import pytest
from fastforward_compiler import object_ref
from fastforward_compiler.problem import ObjectRef
from fastforward_operator.addresses import AddressPool, read_pool

POOL = ("192.0.2.1", "192.0.2.2")
V1 = "gateway.networking.k8s.io/v1"


def gateway(name: str, *asked: str, of: str = "ours") -> crds.Resource | crds.Invalid:
    addresses = [{"type": "IPAddress", "value": address} for address in asked]
    spec = {"gatewayClassName": of, "addresses": addresses, "listeners": []}
    return crds.parse_resource(
        {"apiVersion": V1, "kind": "Gateway", "metadata": {"name": name, "namespace": "shop"}, "spec": spec}
    )


def gateway_class(controller: str = "gateway.fastforward.dev/controller") -> crds.Resource | crds.Invalid:
    spec = {"controllerName": controller}
    return crds.parse_resource({"apiVersion": V1, "kind": "GatewayClass", "metadata": {"name": "ours"}, "spec": spec})


class Told:
    """Stands for the compiler: what it was told last of each Gateway."""

    def __init__(self, pool: tuple[str, ...] = POOL) -> None:
        self.documents: dict[str, Any] = {}
        self.pool = AddressPool(pool)
        self.pool.begin(self.deliver)

    def deliver(self, documents: Any) -> None:  # noqa: ANN401
        for url, body in documents.items():
            if body is not None:
                self.documents[url] = json.loads(body)
            else:
                del self.documents[url]

    def observe(self, *values: crds.Resource | crds.Invalid) -> None:
        self.pool.observe({object_ref(value): value for value in values})

    def of(self, name: str) -> Any:  # noqa: ANN401
        return self.documents.get(f"gateway:shop/{name}")


def test_a_pool_is_a_network_or_a_range() -> None:
    assert read_pool("") == ()
    assert read_pool("192.0.2.0/30") == POOL
    assert read_pool("192.0.2.1-192.0.2.2") == POOL
    assert read_pool("2001:db8::1 - 2001:db8::2") == ("2001:db8::1", "2001:db8::2")


@pytest.mark.parametrize("text", ["nonsense", "192.0.2.2-192.0.2.1", "192.0.2.1-2001:db8::1", "192.0.2.1/24"])
def test_anything_else_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_pool(text)


def test_each_gateway_gets_its_own_until_none_is_left() -> None:
    told = Told()
    told.observe(gateway_class(), gateway("a"), gateway("b"), gateway("c"))
    assert told.of("a") == {"addresses": ["192.0.2.1"]}
    assert told.of("b") == {"addresses": ["192.0.2.2"]}
    assert told.of("c") == {}


def test_what_a_gateway_that_goes_had_is_given_to_the_next() -> None:
    told = Told()
    told.observe(gateway_class(), gateway("a"), gateway("b"), gateway("c"))
    told.pool.observe({ObjectRef(kind="Gateway", namespace="shop", name="a"): None})
    assert told.of("c") == {"addresses": ["192.0.2.1"]}
    assert told.of("b") == {"addresses": ["192.0.2.2"]}


def test_of_a_gateway_that_is_gone_nothing_is_kept() -> None:
    told = Told()
    told.observe(gateway_class(), gateway("a"))
    told.pool.observe({ObjectRef(kind="Gateway", namespace="shop", name="a"): None})
    assert (told.documents, told.pool._told) == ({"gateway:": {}}, {})


def test_of_a_gateway_that_the_cluster_gives_nothing_any_more_nothing_is_kept() -> None:
    told = Told(())
    told.pool.take("shop/a", ["192.0.2.1"])
    assert told.of("a") == {"addresses": ["192.0.2.1"], "of": "cluster"}
    told.pool.take("shop/a", [])
    told.pool.take("shop/a", [])
    assert (told.documents, told.pool._told) == ({}, {})


def test_a_gateway_gets_what_it_asks_for_if_it_is_free() -> None:
    told = Told()
    told.observe(gateway_class(), gateway("a", "192.0.2.2"), gateway("b"))
    assert told.of("a") == {"addresses": ["192.0.2.2"]}
    assert told.of("b") == {"addresses": ["192.0.2.1"]}
    told.observe(gateway("c", "192.0.2.2"), gateway("d", "198.51.100.1"))
    assert told.of("c") == told.of("d") == {"addresses": [], "reason": "AddressNotUsable"}


def test_gateways_of_other_classes_get_nothing() -> None:
    told = Told()
    told.observe(gateway_class("example.com/other"), gateway("a"), gateway("b", of="absent"))
    assert told.of("a") is told.of("b") is None
    told.observe(gateway_class())
    assert told.of("a") == {"addresses": ["192.0.2.1"]}


def test_after_a_restart_a_gateway_has_the_address_of_its_status() -> None:
    told = Told()
    for name in ("b", "c"):
        ref = ObjectRef(kind="Gateway", namespace="shop", name=name)
        told.pool.recall(ref, {"addresses": [{"type": "IPAddress", "value": "192.0.2.1"}]})
    told.observe(gateway_class(), gateway("a"), gateway("b"))
    assert told.of("b") == {"addresses": ["192.0.2.1"]}
    assert told.of("a") == {"addresses": ["192.0.2.2"]}


def test_without_a_pool_nobody_is_told_anything() -> None:
    told = Told(())
    told.observe(gateway_class(), gateway("a"))
    assert told.documents == {}
