"""Requests that become calls: JSON of a bounded size, and no calls."""

# ruff: noqa: ANN401 - fields of messages are handed on as they are

from __future__ import annotations

from typing import Any

import pytest
from fastforward_pipeline import Reason, Snapshot, Trail

from fastforward.snapshot.v1 import snapshot_pb2 as pb
from support.decision_snapshots import ask, decided, host, plan, snapshot


def world(**fields: Any) -> Snapshot:
    made = plan("a", "/", **fields)
    made.plan.transcoding.max_bytes = 100
    return snapshot(host(made))


def reason(world_: Snapshot, **headers: str) -> Reason | None:
    written = {name.replace("_", "-"): value for name, value in headers.items()}
    return decided(world_, ask(method="POST", headers=written)).reason


@pytest.mark.parametrize(("length", "told"), [("100", None), ("101", Reason.BODY_TOO_LARGE)])
def test_the_announced_length_is_bounded(length: str, told: Reason | None) -> None:
    assert reason(world(), content_length=length, content_type="application/json") is told


@pytest.mark.parametrize("kind", ["application/grpc", " Application/gRPC+proto", "application/grpc-web-text"])
def test_calls_are_for_another_rule(kind: str) -> None:
    assert reason(world(), content_type=kind) is Reason.CONTENT_TYPE
    assert reason(snapshot(host(plan("a", "/"))), content_type=kind) is None


def test_a_tighter_bound_of_the_route_holds_as_well() -> None:
    assert reason(world(admission=pb.Admission(max_body_bytes=10)), content_length="11") is Reason.BODY_TOO_LARGE


def test_the_trail_names_the_field() -> None:
    trail = Trail()
    decided(world(), ask(method="POST", headers={"content-length": "101"}), trail=trail)
    assert "rules[main].transcode.maxBytes" in {found.field for found in trail.findings}
    trail = Trail()
    decided(world(), ask(method="POST", headers={"content-length": "100"}), trail=trail)
    assert trail.findings[-1].detail.endswith("as a call in gRPC, by the path of its method")
