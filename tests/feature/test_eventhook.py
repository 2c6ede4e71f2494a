"""Events by webhook: from a request through Envoy to a receiver that verifies it, as EventHooks say."""

from __future__ import annotations

import json
from collections.abc import Generator

import pytest
from standardwebhooks.webhooks import Webhook

from support.credentials import webhook_key
from support.gateway import Gateway, until
from support.message_target import ThreadedTarget, running_target
from support.origin import Origin, Received
from support.resources import Document, Json, prefix, reference_grant, resource, route, rule, secret, upstream

KEYS = "gateway.fastforward.dev/webhook-keys"
PLACED = "shop.orders.placed"


@pytest.fixture
def target() -> Generator[ThreadedTarget]:
    with running_target() as running:
        yield running


@pytest.fixture
def warehouse(deciding_gateway: Gateway, target: ThreadedTarget) -> Origin:
    message = {"type": "shop.orders.place", "upstream": {"name": "orders"}, "event": PLACED}
    deciding_gateway.apply(
        upstream("orders", target.port, protocol="GRPC"), route("orders", rule(prefix("/orders"), message=message))
    )
    return deciding_gateway.upstream("warehouse")


def keys(*labels: str) -> Document:
    return secret("hook", {label: webhook_key(label) for label in labels}, KEYS)


def hook(**spec: Json) -> Document:
    defaults = {
        "events": [PLACED],
        "upstream": {"name": "warehouse"},
        "path": "/hooks/orders",
        "secret": {"name": "hook"},
        "retry": {"firstWait": "20ms", "longestWait": "100ms"},
    }
    return resource("EventHook", "warehouse", {**defaults, **spec})


def place(gateway: Gateway) -> None:
    answer = gateway.request("POST", "/orders", headers={"content-type": "application/json"}, body=b'{"sku": "abc"}')
    assert answer.status == 200


def verified(posted: Received, label: str = "current") -> Json:
    """What is in it, once an independent verifier believes it."""
    headers = {name.lower(): value for name, value in posted.headers}
    Webhook(webhook_key(label)).verify(posted.body, headers)
    return json.loads(posted.body)


def test_what_was_handled_is_told_to_a_receiver_that_verifies_it(
    gateway: Gateway, warehouse: Origin, target: ThreadedTarget
) -> None:
    gateway.apply(keys("current"), hook())
    place(gateway)
    until(lambda: warehouse.received)
    [posted] = warehouse.received
    assert (posted.method, posted.target) == ("POST", "/hooks/orders")
    told = verified(posted)
    [message] = target.received
    assert (told["type"], told["data"], told["causationid"]) == (PLACED, {"order": 7}, message.header.id)
    assert told["source"] == f"/routes/{gateway.namespace}/orders"
    assert told["id"] == posted.header("webhook-id")


def test_a_key_is_changed_without_a_webhook_that_nobody_believes(gateway: Gateway, warehouse: Origin) -> None:
    for labels in (("current",), ("current", "next"), ("next",)):
        gateway.apply(keys(*labels), hook())
        # The Secret itself has no status: what is signed shows that it has arrived.
        before = len(warehouse.received)

        def signatures(before: int = before) -> int:
            place(gateway)
            until(lambda: len(warehouse.received) > before)
            return len((warehouse.last.header("webhook-signature") or "").split())

        until(signatures, lambda found, labels=labels: found == len(labels))
        if labels != ("next",):
            verified(warehouse.last, "current")
        if "next" in labels:
            until(lambda: place(gateway) or _is_signed(warehouse.last, "next"))


def _is_signed(posted: Received, label: str) -> bool:
    try:
        verified(posted, label)
    except Exception:  # noqa: BLE001 - of the verifier, whatever it says
        return False
    return True


def test_events_wait_while_the_secret_is_not_there(gateway: Gateway, warehouse: Origin) -> None:
    gateway.apply(hook(), expect={("EventHook", "warehouse"): "SecretNotFound"})
    assert "was not found" in gateway.problems("EventHook", "warehouse")["spec.secret"]
    place(gateway)
    gateway.apply(keys("current"), hook())
    until(lambda: warehouse.received)
    verified(warehouse.last)


def test_a_receiver_that_comes_back_elsewhere_is_told(gateway: Gateway, warehouse: Origin) -> None:
    gateway.apply(keys("current"), hook())
    warehouse.stop()
    place(gateway)
    moved = gateway.origin("moved")
    gateway.apply(upstream("warehouse", moved.port))
    until(lambda: moved.received)
    verified(moved.last)


@pytest.mark.parametrize(
    ("spec", "field", "reason"),
    [
        ({"upstream": {"name": "nobody"}}, "spec.upstream", "UpstreamNotFound"),
        ({"upstream": {"name": "orders"}}, "spec.upstream", "Invalid"),
        ({"upstream": {"name": "warehouse", "namespace": "elsewhere"}}, "spec.upstream", "RefNotPermitted"),
        ({"secret": {"name": "hook", "namespace": "elsewhere"}}, "spec.secret", "RefNotPermitted"),
        ({"secret": {"name": "other"}}, "spec.secret", "SecretInvalid"),
        ({"tls": {}}, "spec.tls.serverName", "Invalid"),
    ],
)
def test_what_is_wrong_with_a_hook_is_told(
    gateway: Gateway, warehouse: Origin, spec: Document, field: str, reason: str
) -> None:
    gateway.apply(keys("current"), secret("other", {"current": "whsec_short"}, KEYS))
    gateway.apply(hook(**spec), expect={("EventHook", "warehouse"): reason})
    assert set(gateway.problems("EventHook", "warehouse")) == {field}
    assert warehouse.received == []


def test_who_is_not_told_any_more_is_not(gateway: Gateway, warehouse: Origin) -> None:
    gateway.apply(keys("current"), hook())
    place(gateway)
    until(lambda: warehouse.received)
    gateway.delete("EventHook", "warehouse")
    other = gateway.upstream("other")
    gateway.apply(resource("EventHook", "other", hook(upstream={"name": "other"})["spec"]))

    def only_the_other_is_told() -> bool:
        before, told = len(warehouse.received), len(other.received)
        place(gateway)
        until(lambda: len(other.received) > told)
        return len(warehouse.received) == before

    until(only_the_other_is_told)
    assert only_the_other_is_told()


def test_a_grant_lets_a_hook_take_the_secret_of_another_namespace(gateway: Gateway, warehouse: Origin) -> None:
    there = f"{gateway.namespace}-keys"
    grant = reference_grant("hooks", there, from_kind="EventHook", from_namespace=gateway.namespace, to_kind="Secret")
    made = keys("current")
    made["metadata"]["namespace"] = there
    gateway.apply(made, grant, hook(secret={"name": "hook", "namespace": there}))
    place(gateway)
    until(lambda: warehouse.received)
    verified(warehouse.last)
