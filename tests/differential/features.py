"""Worlds for the differential test that use what Routes and policies can do: all destinations, changes on the way,
cross-origin rules, limits, shards, flags, API keys, conditions, admission; and requests that touch these.

In: a seed. Out: documents, and cases that aim at them. Called by the differential test. The paths and matches are those
of `generate`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import replace

from differential.generate import (
    TENANTS,
    Case,
    Document,
    World,
    make_cases,
    make_guarded_cases,
    make_guards,
    make_routes,
)
from differential.outcome import FORGED
from support.resources import config_map

UPSTREAMS = ("one", "two", "three")
ORIGINS = (
    "https://shop.test",
    "https://a.shop.test",
    "https://evil.test",
    "null",
    "https://a.test:81",
    "http://b.test",
    "https://x.wild.test",
    "https://x.wild.test:81",
)
FORGED_HEADERS = (
    ("x-ff-tenant", "acme"),
    ("x-ff-table", "acme"),
    ("x-envoy-retry-on", "5xx"),
    ("x-forwarded-for", "192.0.2.1"),
    ("x-forwarded-proto", "https"),
    *(
        (name, FORGED)
        for name in ("x-ff-subject", "x-envoy-original-path", "x-forwarded-host", "x-real-ip", "forwarded")
    ),
)
CONDITIONS = (
    "request.method == 'GET'",
    "request.path.startsWith('/a')",
    "'x-one' in request.headers && request.headers['x-one'] == 'v'",
    "'q' in request.query",
    "identity.tenant == 'acme'",
    "'admin' in identity.roles",
    "request.host == 'a.test'",
)


SCHEDULES: tuple[Document, ...] = (
    {"until": "2020-01-01T00:00:00Z"},
    {"from": "2090-01-01T00:00:00+01:00"},
    {"from": "2020-01-01T00:00:00Z", "until": "2090-01-01T00:00:00Z"},
    {"weekly": [{}], "zone": "Asia/Tokyo"},
)
"""None of them changes while a test lasts."""


def make_features(rng: random.Random, world: World, ports: dict[str, int], seed: int) -> None:
    """Add Routes with rules of all kinds, and what they lead to."""
    make_routes(rng, world, rng.randint(3, 8), tenants=True)
    for document in world.documents:
        if document["kind"] == "Route":
            _enrich(rng, document["spec"])  # ty: ignore[invalid-argument-type]
            # Drawn apart, so that the rest of each world stays as it was.
            _schedule(random.Random(f"{seed} {document['metadata']}"), document["spec"])  # ty: ignore[invalid-argument-type]
    _add_lists(world)
    empty = {"name": "v1", "document": '{"maxProperties": 0}'}
    world.add("Schema", "empty", {"format": "JSONSchema", "versions": [empty]})
    for name in UPSTREAMS:
        world.add("Upstream", name, {"endpoints": [{"address": "127.0.0.1", "port": ports[name]}]})
    for name in UPSTREAMS[: rng.randint(1, 3)]:
        spec: Document = {"upstreams": [{"purpose": "orders", "name": name}], "weight": rng.randint(0, 2)}
        spec |= rng.choice(({}, {}, {"region": "eu"}, {"region": "us"}, {"state": "Draining"}))
        world.add("Shard", name, spec)
    make_guards(rng, world)
    for document in world.documents:
        if document["kind"] == "Tenant" and rng.random() < 0.4:
            document["spec"] |= {"shard": "one"}  # ty: ignore[unsupported-operator]
    _add_conditions(rng, world)
    _add_services(rng, world, ports["guard"])
    _add_limits(rng, world, seed)


def make_feature_cases(rng: random.Random, world: World, count: int) -> list[Case]:
    """Requests that touch what the world has."""
    cases = make_guarded_cases(rng, world, count) if rng.random() < 0.8 else make_cases(rng, world, count)
    return [_enrich_case(rng, case) for case in cases]


def _add_lists(world: World) -> None:
    """Lists and countries of the Edge: requests come from this machine, which is near and of DE."""
    lists = {"near": "127.0.0.0/8", "far": "192.0.2.0/24", "countries": "127.0.0.0/8,DE\n192.0.2.0/24,FR"}
    world.documents.append(config_map("lists", lists))
    for document in world.documents:
        if document["kind"] == "Edge":
            document["spec"] |= {  # ty: ignore[unsupported-operator]
                "addressLists": [
                    {"name": name, "configMaps": [{"name": "lists", "key": name}]} for name in ("near", "far")
                ],
                "countries": {"configMaps": [{"name": "lists", "key": "countries"}]},
            }


def _enrich(rng: random.Random, spec: Document) -> None:
    """Give a Route admission settings, and its rules other destinations and changes on the way."""
    if rng.random() < 0.15:
        spec["admission"] = rng.choice(
            (
                *({"maxBodyBytes": 3}, {"contentTypes": ["text/plain"]}, {"denyAddresses": ["127.0.0.1"]}),
                *(
                    {"denyLists": ["near"]},
                    {"allowLists": ["far"], "allowCountries": ["DE"]},
                    {"allowCountries": ["FR"]},
                ),
            )
        ) | rng.choice(({}, {}, {"shadow": True}))
    rules: list[Document] = spec["rules"]  # ty: ignore[invalid-assignment]
    for rule in rules:
        if rng.random() < 0.65:
            rule.pop("respond", None)
            rule.pop("redirect", None)
            rule.update(_destination(rng, rule))
        if ("upstreams" in rule or "shards" in rule) and rng.random() < 0.3 and not _asks_who(rule):
            rule["body"] = {"schema": {"name": "empty"}, "maxBytes": 4, **rng.choice(({}, {}, {"shadow": True}))}
        if rng.random() < 0.25:
            rule["responseHeaders"] = _changes(rng, ("x-both", "x-secret", "x-new"))
        if rng.random() < 0.2:
            hosts = rng.choice(([], ["shop.test"], ["*.shop.test", "b.test"]))
            rule["csrf"] = {"hosts": hosts, "shadow": rng.random() < 0.2}


def _schedule(rng: random.Random, spec: Document) -> None:
    """Give some rules of a Route hours."""
    rules: list[Document] = spec["rules"]  # ty: ignore[invalid-assignment]
    for rule in rules:
        if rng.random() < 0.15:
            rule["schedule"] = rng.choice(SCHEDULES)


def _asks_who(rule: Document) -> bool:
    matches: list[Document] = rule.get("matches", [])  # ty: ignore[invalid-assignment]
    return any(asked in match for match in matches for asked in ("tenants", "roles", "region", "flag"))


def _destination(rng: random.Random, rule: Document) -> Document:
    kind = rng.choices(("upstream", "split", "shards", "redirect", "respond"), weights=(6, 2, 2, 3, 1))[0]
    made: Document = {}
    match kind:
        case "redirect":
            return {"redirect": _redirect(rng)}
        case "respond":
            status = rng.choice((200, 204, 404, 503))
            return {"respond": {"status": status, "body": "" if status == 204 else "{}", "contentType": "text/html"}}
        case "shards":
            key = rng.choice(({"key": "Tenant"}, {"key": "Subject"}, {"key": "Header", "header": "x-one"}))
            made |= {"shards": {"upstream": "orders", **key}}
        case "split":
            made |= {"upstreams": [{"name": "one", "weight": 2}, {"name": "two"}, {"name": "three", "weight": 0}]}
        case _:
            made |= {"upstreams": [{"name": rng.choice((*UPSTREAMS, *UPSTREAMS, "missing"))}]}
    if rng.random() < 0.4:
        made["rewrite"] = _rewrite(rng, rule)
    if rng.random() < 0.3:
        made["requestHeaders"] = _changes(rng, ("x-one", "x-two", "x-new"))
    if rng.random() < 0.25:
        made["cors"] = _cors(rng)
    return made


def _rewrite(rng: random.Random, rule: Document) -> Document:
    made: Document = {"host": "inner.test"} if rng.random() < 0.4 else {}
    matches: list[dict[str, Document]] = rule["matches"]  # ty: ignore[invalid-assignment]
    ways: list[Document] = [
        {"replacePath": rng.choice(("/whole", "/", "/whole?x=1"))},
        {"regex": {"pattern": rng.choice(("/(a|b)", "b+", "^/.*$")), "substitution": rng.choice(("/x", r"\\0y"))}},
    ]
    if all(match["path"].get("type", "Prefix") == "Prefix" for match in matches):
        ways += [{"replacePrefix": rng.choice(("/", "/new", "/new/", "/n/e"))}] * 2
    if [match["path"].get("type") for match in matches] == ["Template"]:
        caught = re.findall("[{][a-z]+", str(matches[0]["path"]["value"]))
        ways += [{"template": f"/new/{'}/of/'.join(reversed(caught))}}}"}] * 2
    return made | rng.choice((*ways, {"host": "inner.test"}))


def _redirect(rng: random.Random) -> Document:
    made: Document = {"status": rng.choice((301, 302, 303, 307, 308))}
    for name, values in (
        ("scheme", ("https", "http")),
        ("host", ("elsewhere.test",)),
        ("port", (443, 8443, 80)),
        ("path", ("/moved", "/moved?own=1", "/")),
    ):
        if rng.random() < 0.4:
            made[name] = rng.choice(values)
    return made


def _changes(rng: random.Random, names: Sequence[str]) -> Document:
    def pairs() -> list[Document]:
        some = rng.sample(names, rng.randint(0, 2))
        return [{"name": name, "value": rng.choice(("set", "", "50% %REQ(x)%"))} for name in some]

    return {"set": pairs(), "add": pairs(), "remove": rng.sample(names, rng.randint(0, 2))}


def _cors(rng: random.Random) -> Document:
    made: Document = {"allowOrigins": rng.choice((["*"], ["https://shop.test"], ["https://*.shop.test"]))}
    if rng.random() < 0.5:
        made |= {"allowMethods": ["PUT", "GET"], "allowHeaders": ["x-one"], "exposeHeaders": ["x-both", "x-from"]}
    if made["allowOrigins"] != ["*"]:
        made["allowCredentials"] = rng.random() < 0.5
    return made | ({"maxAge": "90s"} if rng.random() < 0.3 else {})


def _add_conditions(rng: random.Random, world: World) -> None:
    """Add grants with conditions on some Routes, some of them only watched."""
    routes = [document for document in world.documents if document["kind"] == "Route"]
    for document in rng.sample(routes, min(rng.randint(0, 2), len(routes))):
        name = document["metadata"]["name"]  # ty: ignore[not-subscriptable]
        grants = [{"name": "grant", "condition": rng.choice(CONDITIONS)}]
        spec = {"targets": [{"kind": "Route", "name": name}], "authorization": {"grants": grants}}
        world.add("AuthPolicy", f"if-{name}", {**spec, "shadow": rng.random() < 0.2})


def _add_services(rng: random.Random, world: World, port: int) -> None:
    """Add a service that is asked about a Route, and allows everything, and tells upstreams nothing."""
    routes = [document["metadata"]["name"] for document in world.documents if document["kind"] == "Route"]  # ty: ignore[not-subscriptable]
    world.add("Upstream", "guard", {"endpoints": [{"address": "127.0.0.1", "port": port}]})
    for name in rng.sample(routes, min(rng.randint(0, 1), len(routes))):
        asked = {"upstream": {"name": "guard"}, "answerHeaders": ["x-one"], "timeout": "5s"}
        spec: Document = {"targets": [{"kind": "Route", "name": name}], "authorization": {"external": asked}}
        world.add("AuthPolicy", f"ask-{name}", {**spec, "shadow": rng.random() < 0.2})


def _add_limits(rng: random.Random, world: World, seed: int) -> None:
    """Add RateLimits whose buckets see no refill in a test; their names are new, so that all buckets are."""
    routes = [document["metadata"]["name"] for document in world.documents if document["kind"] == "Route"]  # ty: ignore[not-subscriptable]
    bursts: dict[int, bool] = {}
    for number in range(rng.randint(0, 3)):
        parts = rng.sample(("Address", "ApiKey", "Tenant", "Subject", "Endpoint", "Header"), rng.randint(0, 2))
        key = [{"type": part, **({"header": "x-one"} if part == "Header" else {})} for part in parts]
        target = (
            {"kind": "Edge", "name": "edge"} if rng.random() < 0.2 else {"kind": "Route", "name": rng.choice(routes)}
        )
        requests = rng.choice((1, 3, 8, 1000))
        # Of several in the proxy it tells the one with the lowest rate; of equal rates, either.
        burst = bursts.setdefault(requests, rng.random() < 0.3)
        budget = {"requests": requests, "window": "2h", **({"burst": requests + 2} if burst else {})}
        spec: Document = {
            "targets": [target],
            "key": key,
            "budget": budget,
            "enforcement": rng.choice(("Exact", "PerProxy")),
            "shadow": rng.random() < 0.15,
        }
        if spec["enforcement"] == "Exact" and rng.random() < 0.3:
            spec["period"] = "Month"
        elif spec["enforcement"] == "Exact" and rng.random() < 0.3:
            # Answers tell no cost here, and none is counted: so what is left does not change. How many places are left
            # depends on when ends are told: only what nobody is told of has them.
            cost: Document = {"cost": {"path": "usage.total_tokens", "otherwise": 0}}
            spec.update(rng.choice((cost, {"concurrency": {}, "shadow": True})))
        name = f"limit-{seed}-{number}"
        if "Tenant" in parts and rng.random() < 0.7:
            spec["plans"] = [{"plan": "gold", "requests": 5, "window": "2h"}]
        world.add("RateLimit", name, spec)
        for tenant in (document for document in world.documents if document["kind"] == "Tenant"):
            own: Document = {"plan": "gold"} if rng.random() < 0.4 else {}
            if "Tenant" in parts and rng.random() < 0.3:
                own["limits"] = [{"rateLimit": name, "requests": 2, "window": "2h"}]
            tenant["spec"] = {**tenant["spec"], **own}  # ty: ignore[invalid-argument-type]


def _enrich_case(rng: random.Random, case: Case) -> Case:
    headers = list(case.headers)
    if rng.random() < 0.25:
        headers.append(("origin", rng.choice(ORIGINS)))
        if rng.random() < 0.5:
            case = replace(case, method="OPTIONS")
            headers.append(("access-control-request-method", "PUT"))
    if rng.random() < 0.15:
        headers.append(rng.choice(FORGED_HEADERS))
    if rng.random() < 0.1:
        headers.append(("x-tenant", rng.choice(TENANTS)))
    if case.method in ("POST", "PUT") and rng.random() < 0.5:
        headers.append(("content-type", rng.choice(("text/plain", "text/plain; charset=utf-8", "Application/JSON"))))
        case = replace(case, body=rng.choice((b"b", b"body", b"{}", b"{ }", b'{"a":1}', b"{}   ", b"\xff")))
    return replace(case, headers=tuple(headers), http2=rng.random() < 0.25)
