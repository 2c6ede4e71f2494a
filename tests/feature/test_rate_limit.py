"""Rate limits that each proxy counts by itself: by which key, how many, what the client is told."""

import pytest

from support.client import Headers, Response
from support.gateway import Gateway
from support.http2 import Http2Client
from support.origin import Origin, Reply
from support.resources import (
    edge,
    exact,
    issuers,
    limit,
    on,
    policy,
    prefix,
    proven_by,
    resource,
    route,
    rule,
    tokens_of,
)
from support.tokens import bearer


@pytest.fixture
def origin(gateway: Gateway) -> Origin:
    origin = gateway.upstream("books")
    gateway.apply(route("books", rule(to="books")))
    return origin


def statuses(gateway: Gateway, requests: int, headers: Headers = ()) -> list[int]:
    return [gateway.get(headers=headers).status for _ in range(requests)]


def from_address(gateway: Gateway, address: str) -> Response:
    with gateway.connect(source=address) as connection:
        return connection.request("GET", "/", host="example.com")


def test_so_many_requests_pass_and_the_next_is_429(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(limit("few", on("Route", "books"), requests=3))
    assert statuses(gateway, 5) == [200, 200, 200, 429, 429]
    assert len(origin.received) == 3


def test_clients_are_told_what_is_left_and_when_to_come_again(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(limit("few", on("Route", "books"), requests=2, window="10m"))
    seen = []
    for _ in range(3):
        answer = gateway.get()
        seen.append((answer.status, answer.header("x-ratelimit-limit"), answer.header("x-ratelimit-remaining")))
    assert seen == [(200, "2", "1"), (200, "2", "0"), (429, "2", "0")]
    refused = gateway.get()
    assert (refused.status, refused.reason) == (429, "ratelimit/exceeded")
    assert refused.header("content-type") == "application/problem+json"
    # A token comes back every five minutes.
    assert 290 <= int(refused.header("retry-after") or 0) <= 300
    assert refused.header("retry-after") == refused.header("x-ratelimit-reset")
    assert len(origin.received) == 2


def test_when_the_origin_says_when_to_come_again_clients_are_told_that(gateway: Gateway) -> None:
    gateway.upstream("books", lambda _: Reply(status=429, headers=(("retry-after", "7"),)))
    gateway.apply(route("books", rule(to="books")), limit("few", on("Route", "books"), requests=2, window="10m"))
    answers = [gateway.get() for _ in range(3)]
    assert [answer.header("retry-after") for answer in answers[:2]] == ["7", "7"]
    assert 290 <= int(answers[2].header("retry-after") or 0) <= 300
    assert [answer.header("x-ff-retry") for answer in answers] == [None] * 3


def test_tokens_come_back_evenly(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(limit("quick", on("Route", "books"), requests=20, window="1s", budget={"burst": 1}))
    passed = 0
    while passed < 5:
        passed += gateway.get().status == 200
    assert len(origin.received) == 5


def test_a_burst_is_what_passes_at_once(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(limit("bursty", on("Route", "books"), requests=1, budget={"burst": 4}))
    assert statuses(gateway, 6) == [200] * 4 + [429] * 2
    assert len(origin.received) == 4


def test_each_address_has_a_bucket(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(limit("few", on("Route", "books"), requests=2, key=[{"type": "Address"}]))
    for address in ("127.0.0.1", "127.0.0.3", "127.0.0.4"):
        assert [from_address(gateway, address).status for _ in range(3)] == [200, 200, 429]
    assert gateway.get(headers={"x-forwarded-for": "10.0.0.1"}).status == 429
    assert len(origin.received) == 6


def test_each_value_of_a_header_has_a_bucket_and_its_absence_one(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(limit("few", on("Route", "books"), requests=1, key=[{"type": "Header", "header": "X-App"}]))
    for headers in ({"x-app": "a"}, {"x-app": "b"}, {}, {"x-app": ""}):
        assert statuses(gateway, 2, headers=headers) == [200, 429], headers
    assert len(origin.received) == 4


def test_parts_of_a_key_count_together(gateway: Gateway, origin: Origin) -> None:
    key = [{"type": "Address"}, {"type": "Header", "header": "x-app"}]
    gateway.apply(limit("few", on("Route", "books"), requests=1, key=key))
    assert statuses(gateway, 2, headers={"x-app": "a"}) == [200, 429]
    assert statuses(gateway, 2, headers={"x-app": "b"}) == [200, 429]
    with gateway.connect(source="127.0.0.3") as connection:
        assert connection.request("GET", "/", host="example.com", headers={"x-app": "a"}).status == 200
    assert len(origin.received) == 3


def test_each_rule_is_an_endpoint_of_its_own(gateway: Gateway) -> None:
    gateway.apply(
        route("books", rule(prefix("/a"), says="a"), rule(prefix("/b"), says="b")),
        limit("few", on("Route", "books"), requests=1, key=[{"type": "Endpoint"}]),
    )
    assert [gateway.get(path).status for path in ("/a/1", "/a/2", "/b/1", "/b/2")] == [200, 429, 200, 429]


def test_tenant_and_subject_are_those_that_the_token_proves(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(
        issuers("a"),
        *(resource("Tenant", name, {}) for name in ("acme", "globex")),
        policy("members", on("Route", "books"), authentication=proven_by(tokens_of())),
        limit("per-tenant", on("Route", "books"), requests=3, key=[{"type": "Tenant"}]),
        limit("per-subject", on("Route", "books"), requests=2, key=[{"type": "Subject"}]),
    )
    alice, bob = bearer("a", tenant="acme", sub="alice"), bearer("a", tenant="acme", sub="bob")
    assert statuses(gateway, 3, headers=alice) == [200, 200, 429]
    assert statuses(gateway, 2, headers={**bob, "x-ff-tenant": "globex"}) == [200, 429]
    assert statuses(gateway, 1, headers=bearer("a", tenant="globex", sub="carol")) == [200]
    assert len(origin.received) == 4


def test_a_refused_caller_costs_no_token(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(
        issuers("a"),
        policy("members", on("Route", "books"), authentication=proven_by(tokens_of())),
        limit("few", on("Route", "books"), requests=1),
    )
    assert statuses(gateway, 5) == [401] * 5
    assert statuses(gateway, 2, headers=bearer("a")) == [200, 429]
    assert len(origin.received) == 1


def test_a_tenants_plan_and_its_own_budget_say_how_many(gateway: Gateway, origin: Origin) -> None:
    plans = [{"plan": "pro", "requests": 4, "window": "1h"}]
    gateway.apply(
        issuers("a"),
        resource("Tenant", "pro", {"plan": "pro"}),
        resource("Tenant", "child", {"parent": "pro"}),
        resource("Tenant", "own", {"plan": "pro", "limits": [{"rateLimit": "few", "requests": 1, "window": "1h"}]}),
        resource("Tenant", "plain", {}),
        policy("members", on("Route", "books"), authentication=proven_by(tokens_of())),
        limit("few", on("Route", "books"), requests=2, key=[{"type": "Tenant"}], plans=plans),
    )
    for tenant, expected in (("pro", 4), ("child", 4), ("own", 1), ("plain", 2)):
        assert statuses(gateway, 6, headers=bearer("a", tenant=tenant)).count(200) == expected, tenant
    assert len(origin.received) == 11


def test_all_limits_on_a_request_count_and_any_of_them_refuses(gateway: Gateway) -> None:
    gateway.apply(
        edge(gateway.port),
        route("books", rule(exact("/a"), says="a", name="a"), rule(prefix("/b"), says="b")),
        limit("edge", on("Edge", "public"), requests=4),
        limit("rule", on("Route", "books", "a"), requests=2),
    )
    found = [gateway.get(path).status for path in ("/a", "/a", "/a", "/b", "/b", "/b")]
    assert found == [200, 200, 429, 200, 200, 429]


def test_every_proxy_worker_and_version_of_http_shares_a_bucket(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(limit("few", on("Route", "books"), requests=4))
    found = []
    for _ in range(3):
        found += [gateway.get().status]
        with Http2Client(gateway.port) as client:
            found += [client.request("GET", "/", host="example.com").status]
    assert found == [200] * 4 + [429] * 2
    assert len(origin.received) == 4


def test_a_hundred_changes_of_routes_grant_no_further_request(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(limit("few", on("Route", "books"), requests=3))
    assert statuses(gateway, 4) == [200, 200, 200, 429]
    for number in range(100):
        headers = {"set": [{"name": "x-number", "value": str(number)}]}
        gateway.apply(route("books", rule(to="books", requestHeaders=headers)))
    assert statuses(gateway, 3) == [429] * 3
    assert len(origin.received) == 3


def test_a_shadowed_limit_counts_and_hinders_nobody(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(limit("few", on("Route", "books"), requests=1, shadow=True))
    answers = [gateway.get() for _ in range(4)]
    assert [answer.status for answer in answers] == [200] * 4
    assert not any(name.startswith("x-ratelimit") for answer in answers for name, _ in answer.headers)
    assert len(origin.received) == 4


def test_answers_without_a_limit_say_nothing_of_limits(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(
        route("free", rule(says="free"), hosts="free.example.com"), limit("few", on("Route", "books"), requests=9)
    )
    assert not any(name.startswith("x-ratelimit") for name, _ in gateway.get(host="free.example.com").headers)
    assert len(origin.received) == 0
