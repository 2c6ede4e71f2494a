"""Messages for tests: a host whose rule dispatches them, who may send them, envelopes as the REST adapter makes them.

In: what a test wants to vary. Out: snapshots, envelopes, seals. Called by the tests of messages.
"""

# ruff: noqa: ANN401 - fields of messages are handed on as they are

from __future__ import annotations

from typing import Any

from fastforward_pipeline import Snapshot
from fastforward_pipeline.message import Seal
from joserfc.jwk import OKPKey

from fastforward.message.v1 import envelope_pb2
from fastforward.snapshot.v1 import snapshot_pb2 as pb

from .decision_snapshots import HOST, NOW, apikeys, auth, grants, host, key_provider, plan, snapshot, stored_key, tenant

SECRET = "s" * 43
KEY = f"ffk_ANN_{SECRET}"
TARGET = "shop/orders"
TYPE = "shop.orders.place"


def new_seal() -> Seal:
    """A seal of its own, that knows its own key."""
    key = OKPKey.generate_key("Ed25519", auto_kid=True)
    return Seal(key, {str(key.kid): key})


def orders(
    *limits: pb.Resource,
    header: str = "x-api-key",
    message: pb.MessageDispatch = pb.MessageDispatch(type=TYPE, upstream=TARGET),  # noqa: B008 - never changed
    **fields: Any,
) -> Snapshot:
    """POST /orders on HOST becomes a message to TARGET, for callers with the role buyer."""
    rule = plan(
        "orders",
        "/orders",
        auth="shop/members",
        limits=[each.name.removeprefix("limit/") for each in limits],
        message=message,
        **fields,
    )
    return snapshot(
        host(rule),
        auth(
            "shop/members",
            "REQUIRED",
            providers=[key_provider(any_tenant=True, header=header)],
            authorizations=[grants(pb.Grant(name="buyers", roles=["buyer"]))],
        ),
        apikeys(
            stored_key("ANN", SECRET, tenant="acme", subject="ann", roles=["buyer"]),
            stored_key("BOB", SECRET, tenant="acme", subject="bob", roles=["clerk"]),
        ),
        tenant("acme"),
        *limits,
    )


def envelope(
    body: bytes = b'{"sku": "abc", "quantity": 2}',
    *,
    key: str = KEY,
    path: str = "/orders",
    media_type: str = "application/json",
    once: str = "",
    message_id: str = "01890a5d-ac96-774b-bcce-b302099a8057",
    **headers: str,
) -> envelope_pb2.Envelope:
    """A message as an adapter makes it."""
    fields = {"x-api-key": key, "content-type": media_type, **{n.replace("_", "-"): v for n, v in headers.items()}}
    header = envelope_pb2.Header(
        id=message_id,
        kind=envelope_pb2.KIND_REQUEST,
        conversation_id=message_id,
        idempotency_key=once,
        source=envelope_pb2.Source(
            protocol=envelope_pb2.PROTOCOL_REST,
            address="203.0.113.7",
            peer="127.0.0.1",
            edge="shop/public",
            scheme="https",
            host=HOST,
            method="POST",
            target=path,
            fields=[envelope_pb2.Field(name=name, value=value) for name, value in fields.items() if value],
        ),
    )
    header.deadline.FromSeconds(NOW + 15)
    return envelope_pb2.Envelope(header=header, payload=envelope_pb2.Payload(media_type=media_type, body=body))


def reply(body: bytes = b'{"order": 7}', media_type: str = "application/json", **header: Any) -> envelope_pb2.Envelope:
    """What a target answers."""
    return envelope_pb2.Envelope(
        header=envelope_pb2.Header(id="01890a5d-ac96-774b-bcce-b302099a8058", **header),
        payload=envelope_pb2.Payload(media_type=media_type, body=body),
    )
