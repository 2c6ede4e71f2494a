"""Forged requests: which page sent a request, and which may."""

from __future__ import annotations

import pytest
from fastforward_pipeline import Reason, Snapshot, Trail
from fastforward_pipeline.trail import Verdict

from fastforward.snapshot.v1 import snapshot_pb2 as pb
from support.decision_snapshots import HOST, ask, decided, host, plan, snapshot


def world(*hosts: str, shadow: bool = False, name: str = HOST) -> Snapshot:
    made = plan("books", "/")
    made.plan.csrf.CopyFrom(pb.Csrf(hosts=hosts, shadow=shadow))
    return snapshot(host(made, name=name))


def reason(world_: Snapshot, method: str = "POST", **headers: str) -> Reason | None:
    return decided(world_, ask(method=method, headers=headers)).reason


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "source",
    ["", "null", "https://evil.test", f"https://{HOST}.evil.test", f"https://evil-{HOST}", f"https://x@evil/{HOST}"],
)
def test_what_comes_from_elsewhere_is_refused(method: str, source: str) -> None:
    assert reason(world(), method, origin=source) is Reason.PAGE_FOREIGN
    assert reason(world(), method, referer=source) is Reason.PAGE_FOREIGN


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND"])
def test_what_changes_nothing_passes(method: str) -> None:
    assert reason(world(), method, origin="https://evil.test") is None


@pytest.mark.parametrize(
    "source", [f"https://{HOST}", f"http://{HOST}:99", f"https://{HOST}/a?b#c", f"https://me@{HOST}/"]
)
def test_ones_own_pages_may(source: str) -> None:
    assert reason(world(), origin=source) is None
    assert reason(world(), referer=source) is None


def test_origin_goes_before_referer() -> None:
    assert reason(world(), origin="https://evil.test", referer=f"https://{HOST}") is Reason.PAGE_FOREIGN
    assert reason(world(), origin=f"https://{HOST}", referer="https://evil.test") is None


def test_hosts_that_are_named_may() -> None:
    named = world("a.test", "*.b.test")
    for source in ("https://a.test", "https://x.b.test:1", "https://x.y.b.test"):
        assert reason(named, origin=source) is None
    for source in ("https://x.a.test", "https://b.test", "https://a.test.evil", "https://xb.test"):
        assert reason(named, origin=source) is Reason.PAGE_FOREIGN


def test_in_the_shadow_it_is_told_and_passes() -> None:
    trail = Trail()
    decision = decided(world(shadow=True), ask(method="POST"), trail=trail)
    assert decision.allowed
    assert decision.shadow == ("Route shop/books",)
    assert [found.detail for found in trail.findings if found.verdict is Verdict.SHADOWED] == [
        "no Origin or Referer says where it is from"
    ]


def test_the_trail_says_whose_pages_may_and_which_rule_refuses() -> None:
    trail = Trail()
    decided(world(), ask(method="POST", headers={"origin": f"https://{HOST}"}), trail=trail)
    assert [found.field for found in trail.findings if "pages of" in found.detail] == ["rules[main].csrf"]
    refusal = decided(world(), ask(method="POST", headers={"origin": "https://evil.test"})).refusal
    assert refusal is not None
    assert (refusal.object, refusal.field) == ("Route shop/books", "rules[main].csrf")
