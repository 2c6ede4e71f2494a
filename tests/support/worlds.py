"""Worlds for Hypothesis: objects of every kind that refer to each other, mostly rightly, sometimes not.

Out: strategies for objects and for histories of changes. Names, hosts and paths come from small pools, so that
references resolve, claims collide and cycles close. Used by the compiler's property tests and whoever needs a World.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import fastforward_crds as crds
from fastforward_compiler import object_ref
from fastforward_compiler.problem import ObjectRef
from hypothesis import strategies as st

from .ground import ground
from .native_worlds import BODIES, NAMES, Strategy, lists, record

Document = dict[str, Any]
Object = crds.Resource | crds.Invalid
Ground = Callable[[], tuple[Object, ...]]

NAMESPACES = st.sampled_from(["a"] * 7 + ["b"])
HOSTS = st.sampled_from(
    ["*.example.com", "api.example.com", "api.example.com", "a.b.example.com", "*.b.example.com", "other.org", "*"]
)
PATHS = st.sampled_from(["/", "/a", "/a/", "/a/b", "/b"])
REGEXES = st.sampled_from(["/a.*", "/[ab]", "/(", "a{1000}a{1000}a{1000}"])
HEADERS = st.sampled_from(["x-one", "X-Two"])
VALUES = st.sampled_from(["1", "2"])
DURATIONS = st.sampled_from(["250ms", "1s", "1m", "1h"])
ROLES = st.sampled_from(["admin", "reader"])
CREATED = st.sampled_from(["", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"])
CONDITIONS = st.sampled_from(["request.method == 'GET'", "identity.subject == 'me'", "1 +", "unknown(1)"])
LISTS = st.sampled_from(["bots", "office"])
COUNTRIES = st.sampled_from(["DE"] * 6 + ["FR", "FR", "UK"])
URL = "https://issuer.example.com/jwks.json"
HTTP = "http://issuer.example.com/token"


def keyed(items: Strategy, key: str, least: int = 0, most: int = 2) -> Strategy:
    """Short lists of mappings that differ in one field."""
    return st.lists(items, min_size=least, max_size=most, unique_by=lambda item: item[key])


def refs(**more: Strategy) -> Strategy:
    """References by name, sometimes to another namespace."""
    return record({"name": NAMES}, namespace=NAMESPACES, **more)


def address_lists() -> Strategy:
    """Lists of an Edge, some of which are not there, or no lists."""
    return keyed(record({"name": LISTS, "configMaps": lists(refs(key=LISTS), 1)}), "name")


def admissions() -> Strategy:
    networks = st.sampled_from(["10.0.0.0/8"] * 4 + ["2001:db8::/32", "192.0.2.7", "10.0.0.0/99"])
    return record(
        allowAddresses=lists(networks),
        denyAddresses=lists(networks),
        allowLists=lists(LISTS),
        denyLists=lists(LISTS),
        allowCountries=lists(COUNTRIES),
        denyCountries=lists(COUNTRIES),
        maxBodyBytes=st.integers(0, 1024),
        contentTypes=lists(st.sampled_from(["application/json", "text/plain"])),
        shadow=st.booleans(),
    )


def edges() -> Strategy:
    tls = st.fixed_dictionaries({"certificates": st.lists(refs(), min_size=1, max_size=2, unique_by=json.dumps)})
    listener = st.one_of(
        record({"name": NAMES, "port": st.sampled_from([8080, 8081])}),
        record(
            {"name": NAMES, "port": st.sampled_from([8443]), "protocol": st.just("HTTPS"), "tls": tls},
            http3=st.booleans(),
        ),
    )
    return record(
        {"hosts": lists(HOSTS, 1, 3), "listeners": keyed(listener, "name", 1)},
        routeNamespaces=st.sampled_from([{"from": "All"}, {"from": "Same"}, {"from": "Selected", "names": ["b"]}]),
        region=st.sampled_from(["eu", "us"]),
        trustedHops=st.sampled_from([{"count": 1}, {"addresses": ["10.0.0.0/8"], "tenantHeader": "x-tenant"}]),
        apiVersions=record(header=HEADERS, default=st.just("v1")),
        addressLists=address_lists(),
        countries=record({"configMaps": lists(refs(key=st.just("countries")), 1)}),
        admission=admissions(),
        securityHeaders=st.sampled_from([{}, {"preset": "Web"}]),
        adaptiveConcurrency=st.sampled_from([{}, {"least": 1, "most": 5}]),
        grpc=st.sampled_from([{}, {"web": True}, {"transcoding": True}]),
        compression=st.sampled_from([{}, {"algorithms": ["gzip"], "minBytes": 50}]),
    )


def texts() -> Strategy:
    return st.one_of(
        record({"name": HEADERS, "value": VALUES}, type_=st.sampled_from(["Exact", "Prefix"])),
        record({"name": HEADERS, "type": st.just("Regex"), "value": REGEXES}),
        record({"name": HEADERS, "type": st.just("Present")}),
    )


def matches() -> Strategy:
    path = record({"value": PATHS}, type_=st.sampled_from(["Exact", "Prefix"]))
    regex = record({"value": REGEXES, "type": st.just("Regex")})
    return record(
        path=path | regex,
        methods=lists(st.sampled_from(["GET", "POST"])),
        headers=keyed(texts(), "name"),
        query=keyed(texts(), "name"),
        tenants=lists(NAMES),
        roles=lists(ROLES),
        region=st.just("eu"),
        flag=st.just("beta"),
        apiVersion=st.sampled_from(["v1", "v2"]),
    )


def rules() -> Strategy:
    share = refs(weight=st.integers(0, 2))
    rewrite = st.sampled_from(
        [
            {"host": "inner.example.com"},
            {"replacePath": "/z"},
            {"regex": {"pattern": "/(a)", "substitution": "/\\1"}},
            {"regex": {"pattern": "/(a)", "substitution": "/\\2"}},
        ]
    )
    changes = record(
        set=keyed(st.fixed_dictionaries({"name": HEADERS, "value": VALUES}), "name"), remove=lists(HEADERS)
    )
    common: dict[str, Strategy] = {
        "name": st.sampled_from(["one", "two", "rule-0"]),
        "matches": lists(matches(), 1),
        "requestHeaders": changes,
        "responseHeaders": changes,
        "cors": st.just({"allowOrigins": ["*"]}),
        "timeout": record(request=DURATIONS, idle=DURATIONS),
        "schedule": st.sampled_from([{"until": "2020-01-01T00:00:00Z"}, {"weekly": [{}], "zone": "Asia/Tokyo"}]),
        "fault": record({"delay": record({"duration": DURATIONS})}, headers=keyed(texts(), "name")),
    }
    proxied = {**common, "rewrite": rewrite, "retry": record(attempts=st.just(3), backoff=DURATIONS)}
    proxied["mirrors"] = lists(refs(percent=st.just(7)))
    proxied["body"] = record({"schema": refs()}, shadow=st.booleans())
    proxied["transcode"] = record({"schema": refs()})
    return st.one_of(
        record({"upstreams": lists(share, 1)}, **proxied),
        record({"shards": record({"upstream": NAMES}, key=st.just("Subject"))}, **proxied),
        record({"redirect": record(path=PATHS, scheme=st.just("https"))}, **common),
        record({"respond": record(status=st.sampled_from([200, 404]), body=st.just("hi"))}, **common),
    )


def routes() -> Strategy:
    named = st.lists(rules(), min_size=1, max_size=3).map(_name_apart)
    return record(
        {"edges": lists(refs(listener=NAMES), 1), "rules": named},
        hosts=lists(HOSTS),
        priority=st.integers(-1, 1),
        admission=admissions(),
    )


def _name_apart(rules_: list[Document]) -> list[Document]:
    """Rules whose name was there before lose it."""
    seen: set[str] = set()
    apart = []
    for rule in rules_:
        name = rule.get("name")
        apart.append({key: value for key, value in rule.items() if key != "name" or name not in seen})
        seen.add(name or "")
    return apart


def upstreams() -> Strategy:
    address = st.sampled_from(["127.0.0.1", "::1", "1.2"])
    hash_on = st.sampled_from([{"header": "X-User"}, {"cookie": "session"}, {"address": True}])
    balancing = st.sampled_from([{}, {"policy": "LeastRequest"}]) | hash_on.map(
        lambda on: {"policy": "RingHash", "hashOn": on}
    )
    where = st.one_of(
        record({"endpoints": keyed(record({"address": address, "port": st.just(80)}), "address", 1)}),
        record({"dns": record({"host": st.just("inner.example.com"), "port": st.just(80)}, refresh=DURATIONS)}),
        record({"service": refs(port=st.sampled_from([80, 81])).filter(lambda ref: "port" in ref)}),
        record({"service": refs(portName=st.sampled_from(["http", "none"])).filter(lambda ref: "portName" in ref)}),
    )
    rest = record(
        protocol=st.sampled_from(["HTTP1", "HTTP2", "GRPC"]),
        loadBalancing=balancing,
        healthCheck=record(type_=st.sampled_from(["HTTP", "TCP"])),
        outlierDetection=record(),
        sessionAffinity=st.sampled_from([{"header": "x-session"}, {"cookie": {"name": "session"}}]),
    )
    return st.builds(lambda one, other: _sound({**one, **other}), where, rest)


def _sound(upstream: Document) -> Document:
    """Without sessions where there can be none."""
    hashes = upstream.get("loadBalancing", {}).get("policy") == "RingHash"
    kept = "dns" not in upstream and not hashes
    return {key: value for key, value in upstream.items() if kept or key != "sessionAffinity"}


def tenants() -> Strategy:
    limit = record({"rateLimit": NAMES, "requests": st.integers(1, 9)}, window=DURATIONS)
    return record(
        parent=NAMES,
        plan=st.sampled_from(["free", "pro"]),
        hosts=lists(HOSTS),
        shard=NAMES,
        region=st.just("eu"),
        flags=lists(st.sampled_from(["beta", "dark"])),
        limits=keyed(limit, "rateLimit"),
    )


def shards() -> Strategy:
    upstream = record({"purpose": NAMES, "name": NAMES}, namespace=NAMESPACES)
    return record(
        {"upstreams": keyed(upstream, "purpose", 1)},
        region=st.just("eu"),
        state=st.sampled_from(["Active", "Canary", "Draining"]),
    )


def targets() -> Strategy:
    target = st.one_of(
        record({"kind": st.just("Edge"), "name": NAMES}),
        record({"kind": st.just("Route"), "name": NAMES}, rule=st.sampled_from(["one", "rule-1"])),
    )
    return lists(target, 1)


def rate_limits(aim: Strategy) -> Strategy:
    """RateLimits with these targets."""
    budget = {"requests": st.integers(1, 9)}
    plan = record({"plan": st.sampled_from(["free", "pro"]), **budget}, window=DURATIONS)
    parts = [{"type": "Address"}, {"type": "Endpoint"}, {"type": "Header", "header": "X-One"}]
    common = {
        "enforcement": st.sampled_from(["Exact", "PerProxy"]),
        "onFailure": st.sampled_from(["Open", "Closed"]),
        "shadow": st.booleans(),
    }
    cost = st.sampled_from([{"path": "usage.total_tokens"}, {"header": "X-Units", "otherwise": 3}])
    concurrency = record({}, lease=DURATIONS)
    required = {"targets": aim, "budget": record(budget, window=DURATIONS)}
    return st.one_of(
        record({**required, "key": st.just([{"type": "Tenant"}])}, plans=keyed(plan, "plan"), **common),
        record({**required, "enforcement": st.just("Exact")}, period=st.sampled_from(["Hour", "Day", "Week", "Month"])),
        record({**required, "enforcement": st.just("Exact"), "cost": cost}, shadow=st.booleans()),
        record({**required, "enforcement": st.just("Exact"), "concurrency": concurrency}, shadow=st.booleans()),
        record(required, key=lists(st.sampled_from(parts)), **common),
    )


def auth_policies(aim: Strategy) -> Strategy:
    """AuthPolicies with these targets."""
    key = record({"name": NAMES, "key": st.sampled_from(["jwks", "jwks", "none"])}, namespace=NAMESPACES)
    source = st.one_of(
        st.fixed_dictionaries({"configMap": key}), st.fixed_dictionaries({"secret": key}), st.just({"url": URL})
    )
    jwt = record({"issuer": st.just("https://issuer"), "jwks": source}, audiences=lists(VALUES), clockSkew=DURATIONS)
    common = {"name": NAMES}
    listed = lists(NAMES | st.just("*"))
    provider = st.one_of(
        record({**common, "jwt": jwt}, tenants=listed),
        record({**common, "apiKey": record({"secrets": lists(refs(), 1)})}, tenants=listed),
        record({**common, "basic": record({"secrets": lists(refs(), 1)})}, tenants=listed),
    )
    oidc = record(
        {
            "issuer": st.just("https://issuer"),
            "clientId": st.just("shop"),
            "clientSecret": key,
            "endpoints": st.sampled_from([{"authorization": URL, "token": URL}, {"authorization": URL, "token": HTTP}]),
            "tokenUpstream": refs(),
            "jwks": source,
        },
        tokenAuthentication=st.sampled_from(["Basic", "Post"]),
    )
    login = st.lists(record({**common, "oidc": oidc}, tenants=listed), min_size=1, max_size=1)
    authentication = st.one_of(
        record(
            {"providers": keyed(provider, "name", 1)},
            mode=st.sampled_from(["Required", "Optional"]),
            shadow=st.booleans(),
        ),
        record({"providers": login}, mode=st.sampled_from(["Required", "Optional"])),
        st.just({"mode": "None"}),
    )
    grant = record({"name": NAMES}, roles=lists(ROLES), condition=CONDITIONS, tenants=lists(NAMES))
    asked = record({"upstream": refs()}, answerHeaders=lists(st.just("x-one")), onFailure=st.sampled_from(["Open"]))
    granted = {"grants": keyed(grant, "name", 1)}
    authorization = st.one_of(
        record(granted), record(granted), record({"external": asked}), record({**granted, "external": asked})
    )
    halves = st.one_of(
        record({"authentication": authentication}, authorization=authorization),
        record({"authorization": authorization}),
    )
    rest = record(
        {"targets": aim},
        overridable=st.booleans(),
        onFailure=st.sampled_from(["Open", "Closed"]),
        shadow=st.booleans(),
    )
    return st.builds(lambda one, other: {**one, **other}, halves, rest)


SPECS: Mapping[str, Strategy] = {
    "Edge": edges(),
    "Route": routes(),
    "Upstream": upstreams(),
    "Tenant": tenants(),
    "Shard": shards(),
    "RateLimit": rate_limits(targets()),
    "AuthPolicy": auth_policies(targets()),
}


KINDS = ("Route",) * 6 + ("AuthPolicy",) * 3 + ("Edge", "RateLimit") * 2 + ("Upstream", "Tenant", "Shard")
KINDS += tuple(BODIES)
API_VERSIONS = {kind: version for version, kind in crds.INPUTS}


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """Documents of every kind; those that matter most are the most."""
    kind = draw(st.sampled_from(KINDS))
    head = {"apiVersion": API_VERSIONS[kind], "kind": kind, "metadata": draw(metadata())}
    if kind == "EndpointSlice":
        head["metadata"]["labels"] = {crds.SERVICE_LABEL: draw(NAMES)}
    if kind in SPECS:
        return {**head, "spec": draw(SPECS[kind])}
    return {**head, **draw(BODIES[kind])}


def metadata() -> Strategy:
    return record({"name": NAMES, "namespace": NAMESPACES}, generation=st.integers(1, 3), creationTimestamp=CREATED)


def spoil(document: Document) -> Document:
    """The same object with something that is no name of a kind's version."""
    return {**document, "apiVersion": "v0"}


@st.composite
def objects(draw: st.DrawFn) -> Object:
    """Resources and a few documents that are none."""
    document = draw(documents())
    return crds.parse_resource(spoil(document) if draw(st.integers(0, 11)) == 7 else document)


@st.composite
def worlds(draw: st.DrawFn, *, most: int = 12, of: Strategy | None = None, on: Ground = ground) -> tuple[Object, ...]:
    """Several objects, no two with the same reference; of these kinds and on this ground, when told which."""
    size = draw(st.integers(0, most))
    drawn = draw(st.lists(objects() if of is None else of, min_size=size, max_size=size))
    low = on() if draw(st.integers(0, 3)) else ()
    return tuple({object_ref(one): one for one in (*low, *drawn)}.values())


Batch = dict[ObjectRef, Object | None]


@st.composite
def histories(draw: st.DrawFn, *, most: int = 14, of: Strategy | None = None, on: Ground = ground) -> list[Batch]:
    """Batches of changes: objects come, change, turn invalid, go and come again."""
    size = draw(st.integers(0, most))
    drawn = draw(st.lists(objects() if of is None else of, min_size=size, max_size=size))
    changes = draw(st.permutations([*drawn, *(on() if draw(st.integers(0, 3)) else ())]))
    batches: list[Batch] = [{}]
    for value in changes:
        if draw(st.booleans()):
            batches.append({})
        ref = object_ref(value)
        batches[-1][ref] = draw(st.sampled_from([value, value, value, None]))
    return batches
