"""Short builders of intermediate representation, for tests that start in the middle of the compiler.

In: what a test cares about. Out: ir values with everything else plain. Called by tests of emit.
"""

from __future__ import annotations

from typing import Any

from fastforward_compiler import ir

Fields = dict[str, Any]
EDGE = "shop/public"
ORIGIN = "shop/origin"


def edge(port: int = 8080, **fields: Any) -> ir.Edge:  # noqa: ANN401 - any field of ir.Edge
    """An Edge with one listener, `http`."""
    plain: Fields = {"name": EDGE, "hosts": ("*",), "listeners": (ir.Listener(name="http", port=port),)}
    return ir.Edge(**plain | fields)


def scope(host: str, **fields: Any) -> ir.Scope:  # noqa: ANN401 - any field of ir.Scope
    """A host of that Edge."""
    return ir.Scope(name=f"{EDGE}|{host}", edge=EDGE, host=host, **fields)


def table(host: str, *entries: ir.Entry, tenant: str = "") -> ir.Table:
    """A host's table, for everybody or for a tenant; the entries stand in order of precedence."""
    return ir.Table(scope=f"{EDGE}|{host}", tenant=tenant, entries=entries)


def entry(rule: str, path: str = "/", **fields: Any) -> ir.Entry:  # noqa: ANN401 - any field of ir.Entry
    """An entry by path prefix that answers its rule's name; `match` takes other fields of ir.Match.

    `to` forwards to an Upstream instead.
    """
    match: Fields = {"path": path, **fields.pop("match", {})}
    destination: ir.Destination = ir.Respond(status=200, body=rule)
    if upstream := fields.pop("to", ""):
        destination = ir.Split(shares=(ir.Share(upstream=upstream, weight=1),))
    plain: Fields = {"id": f"shop/{rule}#{rule}.0", "route": f"shop/{rule}", "rule": rule, "priority": 0}
    plain |= {"destination": destination, "match": ir.Match(**match)}
    return ir.Entry(**plain | fields)


def text(name: str, kind: str, value: str = "") -> ir.TextMatch:
    """A condition on a header or a query parameter."""
    return ir.TextMatch(name=name, type=ir.TextType(kind), value=value)


def upstream(name: str = ORIGIN, port: int = 9, **fields: Any) -> ir.Upstream:  # noqa: ANN401 - any field of ir.Upstream
    """An Upstream with one endpoint on this machine."""
    plain: Fields = {"name": name, "endpoints": (ir.Endpoint(address="127.0.0.1", port=port),)}
    return ir.Upstream(**plain | fields)


def jwt_provider(issuer: str, *tenants: str, **fields: Any) -> ir.Provider:  # noqa: ANN401 - any field of ir.Jwt
    """An issuer of tokens, whose keys are the KeySet `keys-ISSUER`; the tenant `*` stands for all."""
    plain: Fields = {"issuer": f"https://{issuer}", "keyset": f"keys-{issuer}", "clock_skew_s": 60, "audiences": ()}
    plain |= {"tenant_claim": "tenant", "roles_claim": "roles", "permissions_claim": "permissions"}
    kind = ir.Jwt(**plain | fields)
    return ir.Provider(
        name=f"shop/{issuer}/jwt", policy=f"shop/{issuer}", kind=kind, tenants=tenants, any_tenant="*" in tenants
    )


def limit(name: str, budget: int, *key: str, **fields: Any) -> ir.Limit:  # noqa: ANN401 - any field of ir.Limit
    """A RateLimit with so many requests an hour; a key part is a type, or `Header:NAME`."""
    parts = tuple(ir.KeyPart(type=kind, header=header) for kind, _, header in (part.partition(":") for part in key))
    return ir.Limit(name=name, key=parts, budget=hourly(budget), **fields)


def hourly(requests: int) -> ir.Budget:
    """A budget that hardly refills while a test runs."""
    return ir.Budget(requests=requests, window_ms=3_600_000, burst=requests)


def delta(**changed: tuple[Any, ...]) -> ir.Delta:
    """A Delta of new values, by noun: `delta(edges=(edge(),))`."""
    changes: Fields = {noun: ir.Changes(upserts=values) for noun, values in changed.items()}
    return ir.Delta(**changes)
