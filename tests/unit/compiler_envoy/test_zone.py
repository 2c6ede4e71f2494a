"""Zones as proxies are told of them: endpoints by zone where it matters, and nothing else otherwise."""

from __future__ import annotations

import json

import pytest
from fastforward_compiler import ir
from fastforward_compiler.emit.envoy import bootstrap
from fastforward_compiler.emit.envoy.protos import cluster_pb2, endpoint_pb2, subset_pb2
from fastforward_compiler.emit.envoy.upstream import emit_cluster, emit_endpoints

PLACES = (("10.0.0.1", "b"), ("10.0.0.2", ""), ("10.0.0.3", "a"), ("10.0.0.4", "b"))


def upstream(minimum: int, session: ir.Session | None = None) -> ir.Upstream:
    endpoints = tuple(ir.Endpoint(address=address, port=80, zone=zone) for address, zone in PLACES)
    return ir.Upstream(name="shop/books", endpoints=endpoints, own_zone_minimum=minimum, session=session)


def zones(minimum: int) -> list[tuple[str, str, list[str]]]:
    made = endpoint_pb2.ClusterLoadAssignment.FromString(emit_endpoints(upstream(minimum)))
    return [
        (
            each.locality.zone,
            each.locality.sub_zone,
            [one.endpoint.address.socket_address.address for one in each.lb_endpoints],
        )
        for each in made.endpoints
    ]


def test_endpoints_come_by_zone_and_those_without_one_in_none_that_a_proxy_has() -> None:
    assert zones(1) == [("", "none", ["10.0.0.2"]), ("a", "", ["10.0.0.3"]), ("b", "", ["10.0.0.1", "10.0.0.4"])]


def test_otherwise_all_are_in_one_place() -> None:
    assert zones(0) == [("", "", [address for address, _ in PLACES])]


def test_a_policy_as_extension_takes_the_place_of_the_older_fields() -> None:
    plain = cluster_pb2.Cluster.FromString(emit_cluster(upstream(0)))
    aware = cluster_pb2.Cluster.FromString(emit_cluster(upstream(2, ir.Session(header="x-a"))))
    assert not plain.HasField("load_balancing_policy")
    assert aware.lb_policy == cluster_pb2.Cluster.LOAD_BALANCING_POLICY_CONFIG
    assert not aware.HasField("lb_subset_config")
    (policy,) = aware.load_balancing_policy.policies
    subset = subset_pb2.Subset()
    assert policy.typed_extension_config.typed_config.Unpack(subset)
    (inner,) = subset.subset_lb_policy.policies
    assert inner.typed_extension_config.typed_config.type_url.endswith("RoundRobin")


@pytest.mark.parametrize("zone", ["", "a"])
def test_a_proxy_that_may_have_a_zone_knows_where_its_kind_is(zone: str) -> None:
    made = json.loads(booted(zone))
    own = made["clusterManager"]["localClusterName"]
    (cluster,) = [each for each in made["staticResources"]["clusters"] if each["name"] == own]
    (place,) = cluster["loadAssignment"]["endpoints"]
    assert [each["locality"].get("zone", "") for each in (made["node"], place)] == [zone, zone]


def test_a_proxy_where_zones_do_not_matter_is_told_nothing_of_them() -> None:
    made = booted(None)
    assert "clusterManager" not in made
    assert "locality" not in made


def booted(zone: str | None) -> str:
    return bootstrap(node_id="n", node_cluster="c", xds=("h", 1), admin=("h", 2), decisions=("/a",), zone=zone)
