"""Rate limits that the decision service counts exactly."""

import threading
from calendar import monthrange
from collections import Counter
from datetime import UTC, datetime

import pytest

from support.credentials import apikeys_data
from support.gateway import Gateway
from support.origin import Origin
from support.resources import (
    Json,
    issuers,
    keys_of,
    limit,
    on,
    policy,
    proven_by,
    resource,
    route,
    rule,
    secret,
    tokens_of,
)
from support.tokens import bearer


@pytest.fixture
def origin(deciding_gateway: Gateway) -> Origin:
    origin = deciding_gateway.upstream("books")
    deciding_gateway.apply(route("books", rule(to="books")))
    return origin


def apply(gateway: Gateway, name: str = "few", *, requests: int = 3, **spec: Json) -> None:
    gateway.apply(limit(name, on("Route", "books"), requests=requests, enforcement="Exact", **spec))


def statuses(gateway: Gateway, requests: int, **headers: str) -> list[int]:
    return [gateway.get(headers=headers).status for _ in range(requests)]


def test_so_many_requests_pass_and_clients_are_told(gateway: Gateway, origin: Origin) -> None:
    apply(gateway, window="1h")
    answers = [gateway.get() for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert [answer.header("x-ratelimit-remaining") for answer in answers] == ["2", "1", "0", "0"]
    assert {answer.header("x-ratelimit-limit") for answer in answers} == {"3"}
    refused = answers[-1]
    assert (refused.reason, refused.header("content-type")) == ("ratelimit/exceeded", "application/problem+json")
    # A token comes back every twenty minutes.
    assert 1190 <= int(refused.header("retry-after") or 0) <= 1200
    assert gateway.log_line(refused)["refusal"] == "ratelimit/exceeded"
    assert len(origin.received) == 3


def test_requests_at_the_same_time_get_no_token_twice(gateway: Gateway, origin: Origin) -> None:
    apply(gateway, requests=25)
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.extend(statuses(gateway, 10))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(found) == {200: 25, 429: 35}
    assert len(origin.received) == 25


def test_each_api_key_has_a_bucket(gateway: Gateway, origin: Origin) -> None:
    ids = ("AAAAAAAAAAAA", "BBBBBBBBBBBB")
    gateway.apply(
        resource("Tenant", "acme", {}),
        secret("api-keys", apikeys_data(**dict.fromkeys(ids, "acme")), "gateway.fastforward.dev/api-keys"),
        policy("members", on("Route", "books"), authentication=proven_by(keys_of())),
    )
    apply(gateway, requests=2, key=[{"type": "ApiKey"}])
    for id_ in ids:
        assert statuses(gateway, 3, **{"x-api-key": f"ffk_{id_}_{id_.lower()}"}) == [200, 200, 429]
    assert statuses(gateway, 2) == [401, 401]
    assert len(origin.received) == 4


def test_each_tenant_has_the_budget_of_its_plan_or_its_own(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(
        issuers("a"),
        resource("Tenant", "pro", {"plan": "pro"}),
        resource("Tenant", "own", {"limits": [{"rateLimit": "few", "requests": 1, "window": "1h"}]}),
        resource("Tenant", "plain", {}),
        policy("members", on("Route", "books"), authentication=proven_by(tokens_of())),
        limit(
            "few",
            on("Route", "books"),
            requests=2,
            enforcement="Exact",
            key=[{"type": "Tenant"}],
            plans=[{"plan": "pro", "requests": 4, "window": "1h"}],
        ),
    )
    for tenant, expected in (("pro", 4), ("own", 1), ("plain", 2)):
        assert statuses(gateway, 6, **bearer("a", tenant=tenant)).count(200) == expected, tenant
    assert len(origin.received) == 7


def test_the_tightest_of_several_limits_is_told(gateway: Gateway, origin: Origin) -> None:
    apply(gateway, "wide", requests=100)
    apply(gateway, "tight", requests=2)
    answer = gateway.get()
    assert (answer.header("x-ratelimit-limit"), answer.header("x-ratelimit-remaining")) == ("2", "1")
    assert statuses(gateway, 3) == [200, 429, 429]
    assert len(origin.received) == 2


def test_a_quota_is_for_a_period_of_the_calendar(gateway: Gateway, origin: Origin) -> None:
    apply(gateway, requests=2, period="Month")
    answers = [gateway.get() for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert [answer.header("x-ratelimit-remaining") for answer in answers] == ["1", "0", "0"]
    refused = answers[-1]
    assert refused.reason == "ratelimit/quota-used"
    now = datetime.now(UTC)
    ends_s = (
        (monthrange(now.year, now.month)[1] - now.day + 1) * 86_400 - (now.hour * 60 + now.minute) * 60 - now.second
    )
    assert abs(int(refused.header("retry-after") or 0) - ends_s) <= 5
    assert len(origin.received) == 2
    # Another period has an account of its own.
    apply(gateway, requests=2, period="Day")
    assert gateway.get().status == 200


def test_plans_and_tenants_have_quotas_of_their_own(gateway: Gateway, origin: Origin) -> None:
    plans = [{"plan": "gold", "requests": 3}]
    apply(gateway, requests=2, period="Week", key=[{"type": "Tenant"}], plans=plans)
    gateway.apply(
        issuers("a"),
        resource("Tenant", "acme", {"plan": "gold"}),
        resource("Tenant", "bolt", {"limits": [{"rateLimit": "few", "requests": 1}]}),
        policy("members", on("Route", "books"), authentication=proven_by(tokens_of("a"))),
    )
    for tenant, quota in {"acme": 3, "bolt": 1}.items():
        found = [gateway.get(headers=bearer("a", tenant=tenant)).status for _ in range(4)]
        assert found == [200] * quota + [429] * (4 - quota), tenant
    assert len(origin.received) == 4


def test_a_shadowed_limit_hinders_nobody(gateway: Gateway, origin: Origin) -> None:
    apply(gateway, requests=1, shadow=True)
    assert statuses(gateway, 3) == [200] * 3
    line = gateway.log_line(gateway.get())
    assert line["shadowDecision"] == f"RateLimit {gateway.namespace}/few ratelimit/exceeded"
    assert len(origin.received) == 4


def test_native_and_exact_limits_hold_together(gateway: Gateway, origin: Origin) -> None:
    apply(gateway, "exact", requests=4)
    gateway.apply(limit("native", on("Route", "books"), requests=2, key=[{"type": "Address"}]))
    assert statuses(gateway, 3) == [200, 200, 429]
    with gateway.connect(source="127.0.0.3") as connection:
        found = [connection.request("GET", "/", host="example.com").status for _ in range(3)]
    # What the proxy refuses has been counted by the decision service: one token is left.
    assert found == [200, 429, 429]
    assert len(origin.received) == 3


def test_a_changed_route_refills_no_bucket(gateway: Gateway, origin: Origin) -> None:
    apply(gateway)
    assert statuses(gateway, 4) == [200, 200, 200, 429]
    gateway.apply(route("books", rule(to="books", responseHeaders={"set": [{"name": "x-a", "value": "1"}]})))
    assert statuses(gateway, 2) == [429, 429]
    assert len(origin.received) == 3


@pytest.mark.parametrize(("exact", "native"), [(3, 9), (9, 3)], ids=["exact", "native"])
def test_of_a_native_and_an_exact_limit_clients_are_told_the_tighter_one(
    gateway: Gateway, origin: Origin, exact: int, native: int
) -> None:
    del origin
    gateway.apply(
        limit("exact", on("Route", "books"), requests=exact, window="1h", enforcement="Exact"),
        limit("native", on("Route", "books"), requests=native, window="1h"),
    )
    answers = [gateway.get() for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    for part, values in (("limit", ["3"] * 4), ("remaining", ["2", "1", "0", "0"])):
        assert [answer.header(f"x-ratelimit-{part}") for answer in answers] == values
    assert 1190 <= int(answers[-1].header("retry-after") or 0) <= 1200
    assert {answer.header("x-ff-exact-remaining") for answer in answers} == {None}
