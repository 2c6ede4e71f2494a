"""Builds decision snapshots for tests: a host's rules in a few words, everything else by default.

In: rules, policies, limits as keyword arguments. Out: resources of snapshot.proto, and the compiled Snapshot of them.
"""

# ruff: noqa: ANN401 - fields of messages are handed on as they are
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Any

from fastforward_pipeline import Decision, Request, Snapshot, TokenBuckets, Trail, decide, make_headers, run

from fastforward.snapshot.v1 import snapshot_pb2 as pb

NOW = 1_800_000_000
EDGE = "shop/public"
HOST = "api.example.com"
SCOPE = f"{EDGE}|{HOST}"
PEPPER = hashlib.sha256(b"a pepper for tests").digest()

EXACT, PREFIX, REGEX = pb.PATH_MATCH_TYPE_EXACT, pb.PATH_MATCH_TYPE_PREFIX, pb.PATH_MATCH_TYPE_REGEX


def text(name: str, value: str = "", kind: str = "EXACT") -> pb.TextMatch:
    return pb.TextMatch(name=name, value=value, type=pb.TextMatchType.Value(f"TEXT_MATCH_TYPE_{kind}"))


def match(path: str = "/", kind: int = PREFIX, **conditions: Any) -> pb.Match:
    return pb.Match(path_type=pb.PathMatchType.ValueType(kind), path=path, **conditions)


def split(*shares: tuple[str, int]) -> pb.Split:
    return pb.Split(upstreams=[pb.WeightedUpstream(upstream=name, weight=weight) for name, weight in shares])


def plan(name: str, path: str = "/", kind: int = PREFIX, **fields: Any) -> pb.Resource:
    """A rule named `name` of Route shop/NAME; its Plan is called NAME as well. It goes to Upstream shop/NAME."""
    conditions = {key: fields.pop(key) for key in list(fields) if key in pb.Match.DESCRIPTOR.fields_by_name}
    if not any(
        field in fields for field in ("shards", "redirect", "respond", "unavailable", "upstreams", "message", "gate")
    ):
        fields["upstreams"] = split((f"shop/{name}", 1))
    hop = any(field in conditions for field in ("roles", "region", "flag"))
    message = pb.Plan(
        route=f"shop/{name}",
        rule="main",
        match=match(path, kind, **conditions),
        select=f"shop/{name}#main.0" if hop else "",
        **fields,
    )
    return pb.Resource(name=f"plan/{name}", plan=message)


def gate(name: str = "gate", path: str = "/", **fields: Any) -> pb.Resource:
    return pb.Resource(name=f"plan/{name}", plan=pb.Plan(gate=True, match=match(path), **fields))


def host(*plans: pb.Resource, name: str = HOST, edge: str = EDGE, tenant: str = "", **fields: Any) -> list[pb.Resource]:
    """A host whose table for `tenant` (empty for everybody) has `plans`, in order of precedence."""
    scope = f"{edge}|{name}"
    for resource in plans:
        resource.plan.scope = scope
        resource.plan.tenant = tenant
    names = [resource.name.removeprefix("plan/") for resource in plans]
    return [
        pb.Resource(name=f"scope/{scope}", scope=pb.Scope(edge=edge, host=name, **fields)),
        *plans,
        pb.Resource(name=f"table/{scope}#{tenant}", table=pb.Table(scope=scope, tenant=tenant, plans=names)),
    ]


def auth(name: str = "shop/members", mode: str = "REQUIRED", **fields: Any) -> pb.Resource:
    return pb.Resource(name=f"auth/{name}", auth=pb.Auth(mode=pb.AuthMode.Value(f"AUTH_MODE_{mode}"), **fields))


def jwt_provider(
    name: str = "issuer", *, tenants: Iterable[str] = (), any_tenant: bool = False, **jwt: Any
) -> pb.Provider:
    settings: dict[str, Any] = {
        "issuer": "https://issuer.example",
        "audiences": ["shop"],
        "keyset": "main",
        "tenant_claim": "tenant",
        "roles_claim": "roles",
        "permissions_claim": "permissions",
        "clock_skew_seconds": 60,
    }
    return pb.Provider(
        name=f"shop/members/{name}",
        policy="shop/members",
        jwt=pb.JwtProvider(**{**settings, **jwt}),
        tenants=tenants,
        any_tenant=any_tenant,
    )


def key_provider(
    name: str = "keys", *, header: str = "x-api-key", tenants: Iterable[str] = (), any_tenant: bool = False
) -> pb.Provider:
    return pb.Provider(
        name=f"shop/members/{name}",
        policy="shop/members",
        api_key=pb.ApiKeyProvider(header=header, apikeys=["shop/keys"]),
        tenants=tenants,
        any_tenant=any_tenant,
    )


def keyset(jwks: bytes, name: str = "main") -> pb.Resource:
    return pb.Resource(name=f"keyset/{name}", keyset=pb.KeySet(jwks=jwks))


def stored_key(id_: str, secret: str, **fields: Any) -> pb.ApiKey:
    return pb.ApiKey(id=id_, hash=hmac.digest(PEPPER, secret.encode(), "sha256"), **fields)


def apikeys(*keys: pb.ApiKey, name: str = "shop/keys", pepper: bytes = PEPPER) -> pb.Resource:
    return pb.Resource(name=f"apikeys/{name}", apikeys=pb.ApiKeys(pepper=pepper, keys=keys))


def grants(*found: pb.Grant, policy: str = "shop/members", shadow: bool = False) -> pb.Authorization:
    return pb.Authorization(policy=policy, shadow=shadow, grants=found)


def budget(requests: int = 10, window_ms: int = 60_000, burst: int = 0) -> pb.Budget:
    return pb.Budget(requests=requests, window_ms=window_ms, burst=burst or requests)


def limit(
    name: str = "shop/limit", *parts: str, exact: bool = True, fail_open: bool = True, **fields: Any
) -> pb.Resource:
    """Counted by `parts`: ADDRESS, TENANT, ... or the name of a header in lower case."""
    key = [
        pb.KeyPart(type=pb.KeyPartType.Value(f"KEY_PART_TYPE_{part}"))
        if part.isupper()
        else pb.KeyPart(type=pb.KEY_PART_TYPE_HEADER, header=part)
        for part in parts
    ]
    fields.setdefault("budget", budget())
    return pb.Resource(name=f"limit/{name}", limit=pb.Limit(key=key, exact=exact, fail_open=fail_open, **fields))


def tenant(name: str, namespace: str = "shop", **fields: Any) -> pb.Resource:
    return pb.Resource(name=f"tenant/{namespace}/{name}", tenant=pb.Tenant(name=name, **fields))


def shards(namespace: str = "shop", **found: pb.Shard) -> pb.Resource:
    for name, shard in found.items():
        shard.name = name
    return pb.Resource(name=f"shards/{namespace}", shards=pb.ShardSet(shards=list(found.values())))


def shard(state: str = "ACTIVE", weight: int = 1, region: str = "", **upstreams: str) -> pb.Shard:
    value = pb.ShardState.Value(f"SHARD_STATE_{state}")
    return pb.Shard(state=value, weight=weight, region=region, upstreams=upstreams)


def snapshot(*parts: pb.Resource | Iterable[pb.Resource]) -> Snapshot:
    resources = [resource for part in parts for resource in ([part] if isinstance(part, pb.Resource) else part)]
    return Snapshot.empty().apply(resources)


def ask(path: str = "/", method: str = "GET", *, headers: Mapping[str, str] | None = None, **fields: Any) -> Request:
    """A request for the host of `host`, at NOW."""
    given: dict[str, Any] = {"host": HOST, "now": NOW, "address": "198.51.100.7", **fields}
    return Request(method=method, path=path, headers=make_headers((headers or {}).items()), **given)


def decided(
    world: Snapshot,
    request: Request,
    *,
    counters: TokenBuckets | None = None,
    trail: Trail | None = None,
    counting_native: bool = False,
) -> Decision:
    steps = decide(world, request, trail=trail, counting_native=counting_native)
    return run(steps, TokenBuckets() if counters is None else counters, now=request.now)
