"""A host whose callers prove who they are, by tokens of two issuers or by API keys.

In: providers and a mode. Out: the compiled Snapshot, and headers that fit it. Called by the pipeline's tests.
"""

# ruff: noqa: ANN401 - fields of requests are handed on as they are

from collections.abc import Mapping
from typing import Any

from fastforward_pipeline import Decision, Snapshot

from fastforward.snapshot.v1 import snapshot_pb2

from .decision_snapshots import (
    NOW,
    apikeys,
    ask,
    auth,
    decided,
    host,
    jwt_provider,
    key_provider,
    keyset,
    plan,
    snapshot,
    stored_key,
)
from .forged_jwts import Issuer

ISSUER, FORGER = Issuer(now=NOW), Issuer(now=NOW)
SECOND = Issuer(name="https://second.example", now=NOW)
SECRET = "s" * 43
FIRST = jwt_provider(tenants=["acme", "acme-eu"])
OTHER = jwt_provider("second", issuer="https://second.example", audiences=[], keyset="second", tenants=["bolt"])
KEYS = key_provider(tenants=["acme"])


def world(*providers: snapshot_pb2.Provider, mode: str = "REQUIRED", jwks: bytes | None = None) -> Snapshot:
    stored = (
        stored_key("ANN", SECRET, tenant="acme", subject="ann", roles=["reader"], permissions=["books:read"]),
        stored_key("OLD", SECRET, tenant="acme", not_after=NOW - 1),
        stored_key("NEW", SECRET, tenant="acme", not_after=NOW),
        stored_key("BOB", SECRET, tenant="bolt"),
        stored_key("BOT", SECRET, subject="bot"),
    )
    return snapshot(
        host(plan("books", auth="shop/members")),
        auth("shop/members", mode, providers=providers or (FIRST,)),
        keyset(ISSUER.jwks() if jwks is None else jwks),
        keyset(SECOND.jwks(), "second"),
        apikeys(*stored),
    )


def call(snapshot_: Snapshot, headers: Mapping[str, str], **fields: Any) -> Decision:
    return decided(snapshot_, ask(headers=headers, **fields))


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def key(id_: str, secret: str = SECRET) -> dict[str, str]:
    return {"x-api-key": f"ffk_{id_}_{secret}"}


JWT_ONLY = world()
OPTIONAL = world(FIRST, mode="OPTIONAL")
BOTH = world(FIRST, KEYS)
