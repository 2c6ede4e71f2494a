"""Envoy accepts whatever is emitted: one of each kind, and any text in any field."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import pytest
import re2
from fastforward_compiler import Compiler, ir, object_ref
from fastforward_compiler.emit.envoy import EmitSettings, EnvoyEmitter, bootstrap
from fastforward_compiler.emit.envoy.pattern import without_ampersand
from fastforward_compiler.emit.envoy.predicate import query_pattern
from fastforward_compiler.emit.envoy.resolver import lua_string
from fastforward_compiler.problem import ObjectRef
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support import gatewayapi_worlds, worlds
from support.credentials import certificate_pem, jwks, private_key_pem
from support.envoy_validate import validate, validate_file
from support.ir_values import delta, edge, entry, hourly, jwt_provider, limit, scope, table, text, upstream

NASTY = (
    "%REQ(:path)%",
    "%",
    "%%",
    "%CEL(1)%",
    "\"'`;--",
    "]] .. os.exit() --[[",
    "\\0\\1\\",
    "{{x}} ${y} #{z}",
    "a,b;c=d",
    "<&>",
    "*|*",
    "(?i)[",
    " ",
)
"""Texts that mean something to format strings, Lua, RE2 or YAML."""


def certificate(*hosts: str) -> ir.Certificate:
    return ir.Certificate(
        name=f"shop/{hosts[0]}",
        hosts=hosts,
        chain=certificate_pem(*hosts).encode(),
        key=private_key_pem(hosts[0]).encode(),
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(worlds.worlds())
def test_whatever_the_schema_admits(world: tuple[worlds.Object, ...]) -> None:
    step = Compiler().apply({object_ref(value): value for value in world}, {worlds.URL: jwks().encode()})
    made = EnvoyEmitter(EmitSettings()).apply(step)
    assert validate(made.upserts) == ""


@pytest.mark.slow
@pytest.mark.timeout(600)
@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(worlds.worlds(most=8, of=gatewayapi_worlds.objects(), on=gatewayapi_worlds.ground))
def test_whatever_gateway_api_admits(world: tuple[worlds.Object, ...]) -> None:
    # One Gateway alone: proxies of several have addresses of their own.
    alone = {ref: value for ref, value in ((object_ref(value), value) for value in world) if is_first_gateway(ref)}
    made = EnvoyEmitter(EmitSettings()).apply(Compiler().apply(alone))
    assert validate(made.upserts) == ""


def is_first_gateway(ref: ObjectRef) -> bool:
    return ref.kind != "Gateway" or (ref.namespace, ref.name) == ("a", "x")


def test_one_of_each_kind() -> None:
    checks = [
        ir.HealthCheck(
            type=kind, path="/", interval_ms=1000, timeout_ms=60_000, unhealthy_threshold=2, healthy_threshold=1
        )
        for kind in ("HTTP", "TCP", "GRPC")
    ]
    outlier = ir.OutlierDetection(consecutive_errors=1, interval_ms=1, ejection_time_ms=1, max_ejected_percent=100)
    upstreams = (
        upstream("shop/zones", endpoints=(ir.Endpoint(address="10.0.0.1", port=1, zone="a"),), own_zone_minimum=1000),
        upstream("shop/plain", endpoints=(ir.Endpoint(address="2001:db8::1", port=1, weight=128),)),
        upstream("shop/none", endpoints=()),
        upstream("shop/dns", endpoints=(), dns=ir.Dns(host="a.example", port=80, refresh_ms=1000), protocol="HTTP2"),
        upstream("shop/ip", endpoints=(), dns=ir.Dns(host="192.0.2.1", port=80, refresh_ms=5000)),
        *(upstream(f"shop/{c.type}", health_check=c, protocol="GRPC", outlier_detection=outlier) for c in checks),
        *(upstream(f"shop/{p}", policy=p) for p in ("LeastRequest", "Random", "RingHash")),
        upstream("shop/tight", max_connections=1, retry_budget_percent=100, retry_min_concurrent=0),
    )
    hashed = ir.Split(
        shares=(ir.Share(upstream="shop/RingHash", weight=1), ir.Share(upstream="shop/plain", weight=1_000_000)),
        grpc=True,
        hash_on=("header:x-h", "cookie:c", "address"),
    )
    listeners = (
        ir.Listener(name="http", port=1),
        ir.Listener(
            name="https",
            port=2,
            certificates=(certificate("a.test", "*.b.test"), certificate("a.test"), certificate("c.test", "*.b.test")),
            min_tls="1.3",
        ),
    )
    world = delta(
        edges=(
            edge(listeners=listeners, trusted_hop_count=2, tenant_header="x-tenant", max_requests_per_connection=7),
            edge(name="shop/quiet", listeners=(ir.Listener(name="http", port=3),), access_log=False),
        ),
        scopes=(scope("a"), scope("*.b", host_tenant="t")),
        tables=(
            table("a", entry("hash", destination=hashed, idle_timeout_ms=0, retry=ir.Retry(attempts=10, on=("5xx",)))),
            table("*.b"),
        ),
        upstreams=upstreams,
    )
    assert validate(EnvoyEmitter(EmitSettings()).apply(world).upserts) == ""


@pytest.mark.parametrize("sockets", [("/a.sock",), ("/a.sock", "/b.sock")])
@pytest.mark.parametrize("zone", [None, "", "a"])
def test_the_bootstrap_of_a_connected_envoy(tmp_path: Path, sockets: tuple[str, ...], zone: str | None) -> None:
    here = ("127.0.0.1", 1)
    made = bootstrap(node_id="n", node_cluster="c", xds=here, admin=("127.0.0.1", 0), decisions=sockets, zone=zone)
    assert json.loads(made)["dynamicResources"]["adsConfig"]["apiType"] == "DELTA_GRPC"
    file = tmp_path / "bootstrap.json"
    file.write_text(made)
    assert validate_file(file) == ""


def nasty_entries(nasty: str, place: int) -> list[ir.Entry]:
    """Entries with the text in every field that may hold it by the schema."""
    path = "/" + "".join(char for char in nasty if char in string.printable and not char.isspace() and char not in "?#")
    changes = ir.HeaderChanges(set=(("x-a", nasty),), add=(("x-b", nasty),))
    matches: list[dict[str, Any]] = [
        {"headers": (text("x-h", "Exact", nasty), text("x-p", "Prefix", nasty))},
        {"query": (text("q", "Exact", nasty), text("a%b*+.", "Prefix", nasty))},
    ]
    return [
        entry(f"m{place}.{number}", path, match=match, request_headers=changes, response_headers=changes)
        for number, match in enumerate(matches)
    ] + [
        entry(f"p{place}", path, destination=ir.Redirect(status=302, path=path)),
        entry(f"e{place}", path, match={"path_type": ir.PathType.EXACT}, to="a", rewrite=ir.Rewrite(prefix=path)),
        entry(f"w{place}", path, to="a", rewrite=ir.Rewrite(prefix=path + "/"), auth="nasty"),
        entry(f"f{place}", path, to="a", rewrite=ir.Rewrite(path=path), limits=("shop/nasty",)),
        entry(
            f"b{place}", path, destination=ir.Respond(status=200, body=nasty * 300, content_type=nasty.strip() or "x")
        ),
    ]


def nasty_provider(nasty: str) -> ir.Provider:
    """An issuer with the text wherever it may be."""
    claims = {"tenant_claim": nasty, "roles_claim": nasty, "permissions_claim": nasty}
    jwt = ir.Jwt(issuer=nasty, audiences=(nasty,), keyset="keys-one", clock_skew_s=0, **claims)
    return ir.Provider(name=f"shop/p/{nasty}", policy="shop/p", kind=jwt, tenants=NASTY)


def test_any_text_in_any_field() -> None:
    grants = tuple(
        ir.Grant(name=nasty, roles=(nasty,), permissions=(nasty,), tenants=(nasty,), methods=("GET",))
        for nasty in NASTY
    )
    auth = ir.Auth(
        name="nasty",
        mode=ir.Mode.REQUIRED,
        providers=tuple(nasty_provider(nasty) for nasty in NASTY),
        authorizations=(ir.Authorization(policy="p", grants=grants),),
    )
    by_tenant = (limit(f"shop/{n}", 1, "Tenant", "Header:x-h", tenants=((n, hourly(2)),)) for n in NASTY)
    entries = [made for place, nasty in enumerate(NASTY) for made in nasty_entries(nasty, place)]
    world = delta(
        edges=(edge(),),
        scopes=(scope("a", host_tenant="%REQ(x)%"), *(scope(f"*.{nasty}") for nasty in NASTY)),
        tables=(table("a", *entries),),
        auths=(auth,),
        keysets=(ir.KeySet(name="keys-one", jwks=jwks("one").encode()),),
        limits=(limit("shop/nasty", 1), *by_tenant),
    )
    assert validate(EnvoyEmitter(EmitSettings()).apply(world).upserts) == ""


def test_thousands_of_tenants() -> None:
    names = tuple(f"tenant-{number:05d}-of-a-long-name" for number in range(5000))
    auth = ir.Auth(name="a", mode=ir.Mode.REQUIRED, providers=(jwt_provider("one", *names),))
    budgets = tuple((name, hourly(2)) for name in names)
    world = delta(
        edges=(edge(),),
        scopes=(scope("a"),),
        tables=(table("a", entry("a", auth="a", limits=("shop/l",))),),
        auths=(auth,),
        keysets=(ir.KeySet(name="keys-one", jwks=jwks("one").encode()),),
        limits=(limit("shop/l", 1, "Tenant", "Address", tenants=budgets),),
    )
    assert validate(EnvoyEmitter(EmitSettings()).apply(world).upserts) == ""


@settings(deadline=None)
@given(st.text())
def test_a_lua_literal_holds_no_character_that_could_end_it(value: str) -> None:
    literal = lua_string(value)
    assert literal[0] == literal[-1] == '"'
    assert set(literal[1:-1]) <= set(string.ascii_letters + string.digits + "-./|*\\")
    digits = literal[1:-1].split("\\")[1:]
    assert all(part[:3].isdigit() for part in digits)


EXPRESSIONS = st.sampled_from(
    [
        ".*", "a.c", "[^x]+", "[!-~]+", r"\W+", r"[\D]*", "a|b", "^ab$", "&", "a&*b", r"\Qa.b&\E|c", "[]x]", "[^]x]",
        r"[\]x]", r"\x26|\x41", r"\046|q", "(?i)A[b-d]", "(?P<n>a.)b{2,3}", "(?:.)b", "[[:punct:]]x", "[[:^alpha:]]+",
        r"\pL+", r"\p{Greek}|z", r"\P{L}+", r"a\.b", "[a&]", "[&]?x", "(?s).+", "(?i:x.)", "[a-]+", "[-a]+", "[^-a]+",
        r"\C\C", "", "x*", "(a", r"\bab\b",
    ]
)  # fmt: skip
VALUES = st.text(alphabet="abxyz&=.-A1!/]Q\\%", max_size=6)


@settings(deadline=None)
@given(EXPRESSIONS, VALUES)
def test_an_expression_for_a_value_stays_within_it(expression: str, value: str) -> None:
    def matches(pattern: str) -> bool:
        options = re2.Options()
        options.log_errors = False
        try:
            return re2.fullmatch(pattern, value, options) is not None
        except re2.error:
            return False

    assert matches(f"(?:{without_ampersand(expression)})") is (matches(expression) and "&" not in value)


@settings(deadline=None)
@given(st.lists(st.tuples(st.text(alphabet="kx=", max_size=3), st.sampled_from(["", "=", "=v", "=w"])), max_size=4))
def test_the_pattern_of_a_query_condition_finds_the_first_value(parameters: list[tuple[str, str]]) -> None:
    query = "&".join(name + value for name, value in parameters)
    first = next((rest for name, _, rest in (p.partition("=") for p in query.split("&")) if name == "kx"), None)
    for kind, expected in [
        ("Exact", first == "v"),
        ("Prefix", (first or "").startswith("v")),
        ("Present", first is not None),
    ]:
        found = re2.fullmatch(query_pattern(text("kx", kind, "v")), f"/p?{query}") is not None
        assert found is expected, kind
