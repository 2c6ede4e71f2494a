"""What explanations say of idempotency keys: a rule that asks for one refuses a request without it."""

from __future__ import annotations

import pytest
from fastforward_pipeline import Reason

from fastforward.snapshot.v1 import snapshot_pb2 as pb
from support.decision_snapshots import ask, decided, host, plan, snapshot

ORDERS = pb.MessageDispatch(type="shop.orders.place", upstream="shop/orders", key_required=True)


@pytest.mark.parametrize(
    ("method", "key", "reason"),
    [
        ("POST", None, Reason.IDEMPOTENCY_KEY_REQUIRED),
        ("POST", "k,l", Reason.IDEMPOTENCY_KEY_MALFORMED),
        ("POST", '"k-1"', None),
        ("GET", None, None),
        ("GET", "k,l", None),
    ],
)
def test_a_rule_asks_for_a_key_of_what_changes_something(method: str, key: str | None, reason: Reason | None) -> None:
    headers = {} if key is None else {"idempotency-key": key}
    world = snapshot(host(plan("orders", "/orders", message=ORDERS)))
    assert decided(world, ask("/orders", method, headers=headers)).reason == reason


def test_keys_of_requests_are_their_upstreams_business() -> None:
    world = snapshot(host(plan("orders", "/orders")))
    assert decided(world, ask("/orders", "POST", headers={"idempotency-key": "k,l"})).reason is None
