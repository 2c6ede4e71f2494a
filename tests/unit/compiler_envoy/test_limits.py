"""Native rate limits and admission, asked of a real Envoy."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fastforward_compiler import ir

from support.client import Connection
from support.credentials import jwks
from support.ir_values import ORIGIN, delta, edge, entry, hourly, jwt_provider, limit, scope, table, upstream
from support.origin import Origin
from support.static_envoy import StaticEnvoy
from support.tokens import bearer

Serve = Callable[..., StaticEnvoy]

LIMITS = (
    limit("shop/address", 3, "Address"),
    limit("shop/all", 5),
    limit("shop/shadow", 1, shadow=True),
    limit("shop/header", 2, "Header:x-h"),
    limit("shop/header-too", 1, "Header:x-h"),
    limit("shop/endpoint", 2, "Endpoint"),
    limit("shop/tenant", 2, "Tenant", tenants=(("t1", hourly(4)), ("t1", hourly(9)))),
    limit("shop/several", 2, "Tenant", "Header:x-h", "Endpoint", tenants=(("t1", hourly(3)), ("t3", hourly(4)))),
    limit("shop/subject", 2, "Subject", "Address"),
    ir.Limit(name="shop/fast", key=(), budget=ir.Budget(requests=10**9, window_ms=1, burst=10**9)),
)
ANYBODY = ir.Auth(name="anybody", mode=ir.Mode.OPTIONAL, providers=(jwt_provider("one", "*"),))


ENTRIES = (
    *(entry(name, f"/{name}", limits=(f"shop/{name}",)) for name in ("address", "all", "shadow", "header", "fast")),
    *(entry(name, f"/{name}", limits=(f"shop/{name}",), auth="anybody") for name in ("tenant", "several", "subject")),
    entry("two", "/two", limits=("shop/header", "shop/header-too")),
    entry("end-a", "/end/a", limits=("shop/endpoint",)),
    entry("end-b", "/end/b", limits=("shop/endpoint",)),
    entry("forward", "/forward", limits=("shop/all",), to=ORIGIN),
    entry("inside", "/inside", admission=ir.Admission(allow_addresses=("127.0.0.0/8", "2001:db8::/32"))),
    entry("outside", "/outside", admission=ir.Admission(allow_addresses=("10.0.0.0/8",))),
    entry("denied", "/denied", edge_admission=ir.Admission(deny_addresses=("127.0.0.1",))),
    entry(
        "body",
        "/body",
        to=ORIGIN,
        admission=ir.Admission(max_body_bytes=10),
        edge_admission=ir.Admission(max_body_bytes=100, content_types=("application/json", "text/plain")),
    ),
    entry("bodiless", "/bodiless", to=ORIGIN, admission=ir.Admission(max_body_bytes=0)),
    entry("free", "/free", to=ORIGIN),
)


@pytest.fixture(scope="module")
def envoy(serve: Serve, origin: Origin) -> StaticEnvoy:
    return serve(
        lambda port: delta(
            edges=(edge(port),),
            scopes=(scope("a"),),
            tables=(table("a", *ENTRIES),),
            upstreams=(upstream(port=origin.port),),
            limits=LIMITS,
            auths=(ANYBODY,),
            keysets=(ir.KeySet(name="keys-one", jwks=jwks("one").encode()),),
        )
    )


def passed(envoy: StaticEnvoy, path: str, headers: dict[str, str] | None = None, asked: int = 8) -> int:
    """How many of so many requests pass."""
    return [envoy.ask("a", path, headers or {}).status for _ in range(asked)].count(200)


def test_a_limit_counts_by_its_key(envoy: StaticEnvoy) -> None:
    assert passed(envoy, "/address") == 3
    assert [passed(envoy, "/header", {"x-h": value}) for value in ("1", "2")] == [2, 2]


def test_requests_without_the_header_share_a_bucket(envoy: StaticEnvoy) -> None:
    assert passed(envoy, "/header") == 2


def test_a_limit_without_key_counts_everything_that_it_applies_to(envoy: StaticEnvoy) -> None:
    assert passed(envoy, "/all", asked=3) + passed(envoy, "/forward") == 5


def test_a_shadow_limit_lets_everything_pass_and_shows_no_header(envoy: StaticEnvoy) -> None:
    assert passed(envoy, "/shadow") == 8
    assert envoy.ask("a", "/shadow").header("x-ratelimit-limit") is None


def test_of_several_limits_the_tightest_decides(envoy: StaticEnvoy) -> None:
    assert passed(envoy, "/two", {"x-h": "both"}) == 1


def test_endpoints_are_counted_apart(envoy: StaticEnvoy) -> None:
    assert [passed(envoy, "/end/a"), passed(envoy, "/end/b")] == [2, 2]


def test_a_tenants_own_budget_replaces_the_common_one(envoy: StaticEnvoy) -> None:
    assert [passed(envoy, "/tenant", bearer("one", tenant=name)) for name in ("t1", "t2")] == [4, 2]
    assert passed(envoy, "/tenant") == 2


def test_a_tenants_own_budget_holds_for_each_value_of_the_other_parts(envoy: StaticEnvoy) -> None:
    found = {
        (tenant, value): passed(envoy, "/several", {**bearer("one", tenant=tenant), "x-h": value})
        for tenant in ("t1", "t2", "t3")
        for value in ("a", "b")
    }
    expected = {"t1": 3, "t2": 2, "t3": 4}
    assert found == {(tenant, value): expected[tenant] for tenant, value in found}


def test_subjects_are_counted_apart(envoy: StaticEnvoy) -> None:
    assert [passed(envoy, "/subject", bearer("one", sub=name)) for name in ("ann", "bob")] == [2, 2]


def test_a_refused_request_is_told_when_to_come_again(envoy: StaticEnvoy) -> None:
    passed(envoy, "/address")
    response = envoy.ask("a", "/address")
    assert (response.status, response.reason) == (429, "ratelimit/exceeded")
    assert (response.header("x-ratelimit-limit"), response.header("x-ratelimit-remaining")) == ("3", "0")
    assert 0 < int(response.header("retry-after") or 0) <= 1200


def test_a_request_that_passes_is_not_told_to_come_again(envoy: StaticEnvoy) -> None:
    assert envoy.ask("a", "/fast").header("retry-after") is None


def test_a_route_without_limits_has_no_headers_of_limits(envoy: StaticEnvoy) -> None:
    assert not [name for name, _ in envoy.ask("a", "/inside").headers if name.startswith("x-ratelimit")]


@pytest.mark.parametrize(("path", "status"), [("/inside", 200), ("/outside", 403), ("/denied", 403)])
def test_addresses_are_judged(envoy: StaticEnvoy, path: str, status: int) -> None:
    response = envoy.ask("a", path, {"x-forwarded-for": "10.1.1.1"})
    assert (response.status, response.reason) == (status, None if status == 200 else "admission/address-denied")


JSON = {"content-type": "application/json; charset=utf-8"}
TOO_LARGE = (413, "admission/body-too-large")
OTHER_TYPE = (415, "admission/content-type")


@pytest.mark.parametrize(
    ("path", "headers", "body", "expected"),
    [
        ("/body", {}, None, OTHER_TYPE),
        ("/body", JSON, b"0123456789", (200, None)),
        ("/body", JSON, b"01234567890", TOO_LARGE),
        ("/body", {"content-type": "TEXT/plain"}, b"1", (200, None)),
        ("/body", {"content-type": "text/plainly"}, b"1", OTHER_TYPE),
        ("/body", {"content-type": "x/text/plain"}, b"1", OTHER_TYPE),
        ("/body", {}, b"1", OTHER_TYPE),
        ("/body", {"content-type": "text/html"}, b"", (200, None)),
        ("/bodiless", {}, b"", (200, None)),
        ("/bodiless", {}, b"1", TOO_LARGE),
    ],
)
def test_announced_bodies_are_judged(
    envoy: StaticEnvoy, path: str, headers: dict[str, str], body: bytes | None, expected: tuple[int, str | None]
) -> None:
    response = envoy.ask("a", path, headers, method="POST", body=body)
    assert (response.status, response.reason) == expected


@pytest.mark.parametrize(
    ("path", "kind", "size", "expected"),
    [
        ("/body", "text/plain", 10, (200, None)),
        ("/body", "text/plain", 11, TOO_LARGE),
        ("/body", "text/plain", 200_000, TOO_LARGE),
        ("/body", "text/html", 1, OTHER_TYPE),
        ("/bodiless", "text/plain", 1, TOO_LARGE),
        ("/free", "text/plain", 200_000, (200, None)),
    ],
)
def test_bodies_of_unannounced_length_are_counted(
    envoy: StaticEnvoy, path: str, kind: str, size: int, expected: tuple[int, str | None]
) -> None:
    head = f"POST {path} HTTP/1.1\r\nhost: a\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n"
    with Connection(envoy.port) as connection:
        response = connection.send(f"{head}{size:x}\r\n{'x' * size}\r\n0\r\n\r\n".encode())
    assert (response.status, response.reason) == expected
