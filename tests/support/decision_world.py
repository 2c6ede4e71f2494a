"""A small decision snapshot for tests of whoever serves decisions: one host, API keys, tenants, roles, exact limits.

In: what a test wants to vary. Out: resources of snapshot.proto, and keys that fit them. Called by EntryPoint's tests
and by its measurement.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from google.protobuf.message import Message

from fastforward.snapshot.v1 import snapshot_pb2

SCOPE = "shop/public|shop.example"
PLAN = "plan-books"
KEYS = "shop/keys"
AUTH = "shop/callers"
POLICY = "shop/callers"


@dataclass(frozen=True, slots=True)
class Key:
    """An API key and what is stored of it."""

    text: str
    stored: snapshot_pb2.ApiKey


PEPPER = secrets.token_bytes(32)


def make_key(tenant: str, *, subject: str = "robot", roles: Sequence[str] = ("reader",)) -> Key:
    id_ = base64.b32encode(secrets.token_bytes(8)).decode()[:12]
    secret = secrets.token_urlsafe(32)
    digest = hmac.digest(PEPPER, secret.encode(), hashlib.sha256)
    stored = snapshot_pb2.ApiKey(id=id_, hash=digest, tenant=tenant, subject=subject, roles=roles)
    return Key(f"ffk_{id_}_{secret}", stored)


def resource(name: str, body: Message) -> snapshot_pb2.Resource:
    noun = name.partition("/")[0]
    version = hashlib.sha256(body.SerializeToString(deterministic=True)).hexdigest()[:16]
    made = snapshot_pb2.Resource(name=name, version=version)
    getattr(made, noun).CopyFrom(body)
    return made


def scope() -> snapshot_pb2.Resource:
    return resource(f"scope/{SCOPE}", snapshot_pb2.Scope(edge="shop/public", host="shop.example"))


def plan(
    name: str = PLAN, *, path: str = "/books", limits: Sequence[str] = (), auth: str = AUTH
) -> snapshot_pb2.Resource:
    body = snapshot_pb2.Plan(
        route="shop/books",
        rule="all",
        scope=SCOPE,
        match=snapshot_pb2.Match(path_type=snapshot_pb2.PATH_MATCH_TYPE_PREFIX, path=path),
        auth=auth,
        limits=limits,
        upstreams=snapshot_pb2.Split(upstreams=[snapshot_pb2.WeightedUpstream(upstream="shop/backend", weight=1)]),
    )
    return resource(f"plan/{name}", body)


def auth(*, roles: Sequence[str] = ("reader",)) -> snapshot_pb2.Resource:
    provider = snapshot_pb2.Provider(
        name="keys",
        policy=POLICY,
        any_tenant=True,
        api_key=snapshot_pb2.ApiKeyProvider(header="x-api-key", apikeys=[KEYS]),
    )
    grant = snapshot_pb2.Authorization(policy=POLICY, grants=[snapshot_pb2.Grant(name="readers", roles=roles)])
    body = snapshot_pb2.Auth(
        mode=snapshot_pb2.AUTH_MODE_REQUIRED, providers=[provider], authorizations=[grant] if roles else []
    )
    return resource(f"auth/{AUTH}", body)


def apikeys(*keys: Key) -> snapshot_pb2.Resource:
    return resource(f"apikeys/{KEYS}", snapshot_pb2.ApiKeys(pepper=PEPPER, keys=[key.stored for key in keys]))


def limit(
    name: str, *, burst: int, requests: int = 1, window_ms: int = 3_600_000, fail_open: bool = False
) -> snapshot_pb2.Resource:
    """Counts by tenant, exactly."""
    body = snapshot_pb2.Limit(
        key=[snapshot_pb2.KeyPart(type=snapshot_pb2.KEY_PART_TYPE_TENANT)],
        budget=snapshot_pb2.Budget(requests=requests, window_ms=window_ms, burst=burst),
        exact=True,
        fail_open=fail_open,
    )
    return resource(f"limit/{name}", body)


def tenant(name: str) -> snapshot_pb2.Resource:
    return resource(f"tenant/shop/{name}", snapshot_pb2.Tenant(name=name, plan="basic"))


def world(
    *keys: Key, plans: Sequence[snapshot_pb2.Resource] = (), limits: Sequence[snapshot_pb2.Resource] = ()
) -> list[snapshot_pb2.Resource]:
    """Everything that a key's request on /books needs; each limit applies to it."""
    names = [one.name.removeprefix("limit/") for one in limits]
    all_plans = [plan(limits=names), *plans]
    table = snapshot_pb2.Table(scope=SCOPE, plans=[one.name.removeprefix("plan/") for one in all_plans])
    tenants = sorted({key.stored.tenant for key in keys})
    return [
        apikeys(*keys),
        auth(),
        *limits,
        *(tenant(name) for name in tenants if name),
        scope(),
        *all_plans,
        resource(f"table/{SCOPE}#", table),
    ]


def asking(key: Key | None = None, **headers: str) -> Mapping[str, str]:
    """The headers that Envoy sends with a request on /books."""
    own = {
        "x-ff-plan": PLAN,
        "x-ff-scope": SCOPE,
        "x-ff-table": "-",
        "x-ff-listener": "http",
        "x-ff-address": "203.0.113.7",
        "x-ff-peer": "127.0.0.1",
        "x-request-id": "6c84fb90-12c4-11e1-840d-7b25c5ee775a",
        "x-forwarded-proto": "https",
    }
    if key is not None:
        own["x-api-key"] = key.text
    return {**own, **{name.replace("_", "-"): value for name, value in headers.items()}}
