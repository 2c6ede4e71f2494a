"""Zones are told of Upstreams for which they count, as long as they do."""

from __future__ import annotations

from fastforward_compiler import ir
from fastforward_compiler.emit.decision import DecisionEmitter

from fastforward.snapshot.v1 import snapshot_pb2
from support.ir_values import ORIGIN, delta, upstream

ENDPOINTS = (
    ir.Endpoint(address="10.0.0.3", port=80, zone="b", weight=2),
    ir.Endpoint(address="10.0.0.1", port=80, zone="a"),
    ir.Endpoint(address="10.0.0.4", port=80),
    ir.Endpoint(address="10.0.0.5", port=80, zone="c", weight=0),
)
NEAR = upstream(endpoints=ENDPOINTS, own_zone_minimum=2)


def test_endpoints_are_told_by_zone_and_those_that_get_nothing_are_not() -> None:
    found = DecisionEmitter().apply(delta(upstreams=(NEAR,)))
    (resource,) = found.upserts
    assert resource.name == f"zones/{ORIGIN}"
    assert resource.zones == snapshot_pb2.Zones(
        minimum=2,
        zones=[
            snapshot_pb2.Zone(name="", endpoints=[snapshot_pb2.Endpoint(address="10.0.0.4", port=80, weight=1)]),
            snapshot_pb2.Zone(name="a", endpoints=[snapshot_pb2.Endpoint(address="10.0.0.1", port=80, weight=1)]),
            snapshot_pb2.Zone(name="b", endpoints=[snapshot_pb2.Endpoint(address="10.0.0.3", port=80, weight=2)]),
        ],
    )
    assert ("upstream", ORIGIN) not in found.outputs


def test_what_no_longer_counts_is_taken_away() -> None:
    emitter = DecisionEmitter()
    assert emitter.apply(delta(upstreams=(upstream(endpoints=ENDPOINTS),))).upserts == ()
    for gone in (delta(upstreams=(upstream(),)), ir.Delta(upstreams=ir.Changes(removed=(ORIGIN,)))):
        assert [each.name for each in emitter.apply(delta(upstreams=(NEAR,))).upserts] == [f"zones/{ORIGIN}"]
        assert emitter.apply(gone).removed == (f"zones/{ORIGIN}",)
        assert emitter.apply(gone).removed == ()


def test_behind_a_name_there_are_no_zones() -> None:
    dns = ir.Dns(host="far.example.com", port=80, refresh_ms=1)
    named = upstream(endpoints=(), dns=dns, own_zone_minimum=1)
    assert DecisionEmitter().apply(delta(upstreams=(named,))).upserts == ()


def test_an_upstream_that_is_called_has_both() -> None:
    emitter = DecisionEmitter()
    asked = upstream(endpoints=ENDPOINTS, own_zone_minimum=1, asked=True)
    assert [each.name for each in emitter.apply(delta(upstreams=(asked,))).upserts] == [
        f"upstream/{ORIGIN}",
        f"zones/{ORIGIN}",
    ]
    gone = emitter.apply(ir.Delta(upstreams=ir.Changes(removed=(ORIGIN,))))
    assert gone.removed == (f"upstream/{ORIGIN}", f"zones/{ORIGIN}")
