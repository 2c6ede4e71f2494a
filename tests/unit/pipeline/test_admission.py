"""Who may knock, and with what."""

# ruff: noqa: ANN401 - fields of messages and requests are handed on as they are

from typing import Any

import pytest
from fastforward_pipeline import Reason, Request, Snapshot, Trail
from fastforward_pipeline.compiled.address import AddressSet

from fastforward.snapshot.v1 import snapshot_pb2 as pb
from support.decision_snapshots import ask, decided, host, plan, snapshot


def world(edge: dict[str, Any] | None = None, **route: Any) -> Snapshot:
    fields: dict[str, Any] = {"admission": pb.Admission(**route)}
    if edge is not None:
        fields["edge_admission"] = pb.Admission(**edge)
    return snapshot(host(plan("a", **fields)))


@pytest.mark.parametrize(
    ("networks", "address", "inside"),
    [
        (["10.0.0.0/8"], "10.255.0.1", True),
        (["10.0.0.0/8"], "11.0.0.1", False),
        (["10.1.2.3"], "10.1.2.3", True),
        (["10.1.2.3/8"], "10.9.9.9", True),
        (["0.0.0.0/0"], "203.0.113.1", True),
        (["0.0.0.0/0"], "2001:db8::1", False),
        (["2001:db8::/32"], "2001:db8:1::1", True),
        (["2001:db8::/32"], "2001:db9::1", False),
        (["10.0.0.0/8"], "::ffff:10.0.0.1", True),
        (["::/0"], "10.0.0.1", False),
        (["10.0.0.0/8", "192.168.0.0/16", "10.1.0.0/16"], "192.168.3.4", True),
        (["10.0.0.0/8"], "", False),
        (["10.0.0.0/8"], "10.0.0.1.example.com", False),
        (["10.0.0.0/8"], "10.0.0.1:80", False),
        ([], "10.0.0.1", False),
    ],
)
def test_an_address_is_in_a_network_by_its_bits(networks: list[str], address: str, inside: bool) -> None:
    assert (address in AddressSet(networks)) is inside


@pytest.mark.parametrize(
    ("settings", "address", "reason"),
    [
        ({"allow_addresses": ["10.0.0.0/8"]}, "10.0.0.1", None),
        ({"allow_addresses": ["10.0.0.0/8"]}, "192.0.2.1", Reason.ADDRESS_DENIED),
        ({"allow_addresses": ["10.0.0.0/8"]}, "", Reason.ADDRESS_DENIED),
        ({"deny_addresses": ["10.0.0.0/8"]}, "192.0.2.1", None),
        ({"deny_addresses": ["10.0.0.0/8"]}, "10.0.0.1", Reason.ADDRESS_DENIED),
        ({"deny_addresses": ["10.0.0.0/8"]}, "unknown", Reason.ADDRESS_DENIED),
        ({"allow_addresses": ["10.0.0.0/8"], "deny_addresses": ["10.0.0.1"]}, "10.0.0.1", Reason.ADDRESS_DENIED),
    ],
)
def test_denial_wins_and_an_address_that_is_none_is_denied(
    settings: dict[str, Any], address: str, reason: Reason | None
) -> None:
    decision = decided(world(**settings), ask(address=address))
    assert decision.reason is reason
    assert decision.status == (200 if reason is None else 403)


def body(**fields: Any) -> Request:
    return ask(method=fields.pop("method", "POST"), **fields)


@pytest.mark.parametrize(
    ("bound", "request_", "admitted"),
    [
        (10, body(body_bytes=10), True),
        (10, body(body_bytes=11), False),
        (10, body(headers={"content-length": "11"}), False),
        (10, body(headers={"content-length": "9"}), True),
        (10, body(headers={"content-length": "many"}), True),
        (10, body(headers={"content-length": "9" * 5000}), True),
        (10, body(headers={"transfer-encoding": "chunked"}), True),
        (0, body(headers={"transfer-encoding": "chunked"}), False),
        (0, body(body_bytes=0), True),
        (0, body(body_bytes=1), False),
    ],
)
def test_a_body_is_as_large_as_it_says(bound: int, request_: Request, admitted: bool) -> None:
    decision = decided(world(max_body_bytes=bound), request_)
    assert decision.reason is (None if admitted else Reason.BODY_TOO_LARGE)
    assert decision.status == (200 if admitted else 413)


JSON = {"content-type": "application/json"}
TEXT = {"content-type": "text/plain"}


@pytest.mark.parametrize(
    ("request_", "accepted"),
    [
        (body(headers=JSON, body_bytes=5), True),
        (body(headers={"content-type": "Application/JSON ; charset=utf-8"}, body_bytes=5), True),
        (body(headers=TEXT, body_bytes=5), False),
        (body(body_bytes=5), False),
        (body(headers={"transfer-encoding": "chunked"}), False),
        (body(headers={"transfer-encoding": "chunked", **JSON}), True),
        (body(headers=TEXT), False),
        (body(headers=TEXT, body_bytes=0), True),
        (body(), False),
        (body(body_bytes=0), True),
        (body(method="GET"), True),
        (body(method="GET", headers=TEXT), False),
        (body(method="GET", headers=TEXT, body_bytes=3), False),
        (body(headers={"content-type": "application/json, text/plain"}, body_bytes=5), False),
    ],
)
def test_a_body_has_one_of_the_media_types(request_: Request, accepted: bool) -> None:
    decision = decided(world(content_types=["application/json", "text/csv"]), request_)
    assert decision.reason is (None if accepted else Reason.CONTENT_TYPE)
    assert decision.status == (200 if accepted else 415)


def test_the_edges_settings_and_the_routes_both_hold() -> None:
    both = world({"max_body_bytes": 5}, max_body_bytes=10)
    assert decided(both, body(body_bytes=6)).reason is Reason.BODY_TOO_LARGE
    assert decided(world({"max_body_bytes": 50}, max_body_bytes=10), body(body_bytes=11)).status == 413


def test_the_object_that_refuses_is_told() -> None:
    refused = decided(world({"deny_addresses": ["10.0.0.0/8"]}), ask(address="10.0.0.1"))
    assert refused.refusal is not None
    assert (refused.refusal.object, refused.refusal.field) == ("Edge shop/public", "spec.admission.denyAddresses")
    trail = Trail()
    decided(world({"max_body_bytes": 5}), body(body_bytes=1), trail=trail)
    told = [finding.object for finding in trail.findings if finding.stage == "admission"]
    assert told == ["Edge shop/public", "Route shop/a"]


def test_settings_in_the_shadow_report_and_hinder_nobody() -> None:
    trail = Trail()
    watched = world({"max_body_bytes": 5, "shadow": True}, content_types=["text/plain"])
    decision = decided(watched, body(headers=TEXT, body_bytes=6), trail=trail)
    assert (decision.allowed, decision.shadow) == (True, ("Edge shop/public",))
    assert [refusal.reason for refusal in decision.would_refuse] == [Reason.BODY_TOO_LARGE]
    told = [(finding.verdict, finding.object) for finding in trail.findings if finding.stage == "admission"]
    assert told == [("shadowed", "Edge shop/public"), ("passed", "Route shop/a")]
    shown = trail.to_dict(decision)["wouldRefuse"]
    assert isinstance(shown, list)
    assert (shown[0]["status"], shown[0]["reason"]) == (413, "admission/body-too-large")
    assert shown[0]["field"] == "spec.admission.maxBodyBytes"


def test_what_is_in_force_refuses_behind_what_is_in_the_shadow() -> None:
    refused = decided(world({"max_body_bytes": 5, "shadow": True}, content_types=["text/plain"]), body(body_bytes=6))
    assert (refused.reason, refused.shadow) == (Reason.CONTENT_TYPE, ("Edge shop/public",))
