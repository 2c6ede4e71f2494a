"""Rate limits: which bucket counts a request, what the answer says, what happens without counters."""

# ruff: noqa: ANN401 - fields of messages and requests are handed on as they are

from dataclasses import replace
from typing import Any

import pytest
from fastforward_pipeline import (
    Answer,
    Bucket,
    Decision,
    Level,
    Reason,
    Request,
    Snapshot,
    TakeTokens,
    TokenBuckets,
    Trail,
    Unavailable,
    Verdict,
    decide,
    run,
)
from fastforward_pipeline.ends import settle_ends

from support.decision_snapshots import (
    NOW,
    apikeys,
    ask,
    auth,
    budget,
    decided,
    grants,
    host,
    key_provider,
    limit,
    pb,
    plan,
    snapshot,
    stored_key,
    tenant,
)

SECRET = "s" * 43


def key(id_: str) -> dict[str, str]:
    return {"x-api-key": f"ffk_{id_}_{SECRET}"}


def world(*limits: pb.Resource, names: tuple[str, ...] = (), **rule: Any) -> Snapshot:
    counted = names or tuple(found.name.removeprefix("limit/") for found in limits)
    return snapshot(
        host(
            plan("books", "/books", auth="shop/members", limits=counted, **rule),
            plan("all", auth="shop/members", limits=counted),
        ),
        auth("shop/members", "OPTIONAL", providers=[key_provider(any_tenant=True)]),
        apikeys(
            stored_key("ANN", SECRET, tenant="acme", subject="ann"),
            stored_key("EVE", SECRET, tenant="acme", subject="eve"),
            stored_key("BOB", SECRET, tenant="bolt", subject="bob"),
        ),
        tenant("acme", plan="gold"),
        tenant("bolt"),
        *limits,
    )


def effect(snapshot_: Snapshot, request: Request) -> TakeTokens:
    asked = next(decide(snapshot_, request))
    assert isinstance(asked, TakeTokens)
    return asked


def answered(snapshot_: Snapshot, request: Request, answer: Answer, trail: Trail | None = None) -> Decision:
    steps = decide(snapshot_, request, trail=trail)
    next(steps)
    try:
        steps.send(answer)
    except StopIteration as end:
        return end.value
    raise AssertionError("one effect at most")


def test_an_empty_bucket_is_429_and_says_when_to_come_again() -> None:
    snapshot_, counters = world(limit(budget=budget(2, 60_000))), TokenBuckets()
    first, second, third = (decided(snapshot_, ask(), counters=counters) for _ in range(3))
    assert [first.status, second.status, third.status] == [200, 200, 429]
    assert third.reason is Reason.EXCEEDED
    assert dict(third.response_headers) == {
        "x-ratelimit-limit": "2",
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": "30",
        "retry-after": "30",
    }
    assert dict(first.response_headers) == {
        "x-ratelimit-limit": "2",
        "x-ratelimit-remaining": "1",
        "x-ratelimit-reset": "0",
    }
    assert dict(second.response_headers)["x-ratelimit-reset"] == "30"


def test_a_refused_request_costs_no_other_limit_a_token() -> None:
    counters = TokenBuckets()
    snapshot_ = world(limit("shop/small", budget=budget(1)), limit("shop/large", budget=budget(10)))
    decided(snapshot_, ask(), counters=counters)
    refused = decided(snapshot_, ask(), counters=counters)
    assert [(state.limit, state.remaining) for state in refused.limits] == [("shop/small", 0), ("shop/large", 9)]


def test_the_tightest_limit_is_shown() -> None:
    snapshot_ = world(limit("shop/wide", budget=budget(100)), limit("shop/tight", budget=budget(5)))
    assert dict(decided(snapshot_, ask()).response_headers)["x-ratelimit-limit"] == "5"


def test_of_several_that_refuse_the_one_that_lasts_longest_says_when() -> None:
    snapshot_ = world(limit("shop/minute", budget=budget(1, 60_000)), limit("shop/hour", budget=budget(1, 3_600_000)))
    decision = answered(snapshot_, ask(), Verdict((Level(True, 0.0), Level(True, 0.5))))
    assert decision.refusal is not None
    assert decision.refusal.object == "RateLimit shop/hour"
    assert dict(decision.response_headers)["retry-after"] == "1800"


ADDRESS = ask(address="192.0.2.1")


@pytest.mark.parametrize(
    ("part", "one", "same", "other"),
    [
        ("ADDRESS", ADDRESS, ask("/books", address="192.0.2.1"), ask(address="192.0.2.2")),
        ("API_KEY", ask(headers=key("ANN")), ask("/books", headers=key("ANN")), ask(headers=key("EVE"))),
        ("TENANT", ask(headers=key("ANN")), ask(headers=key("EVE")), ask(headers=key("BOB"))),
        ("SUBJECT", ask(headers=key("ANN")), ask("/books", headers=key("ANN")), ask(headers=key("EVE"))),
        ("ENDPOINT", ask("/books"), ask("/books/1"), ask("/")),
        ("x-user", ask(headers={"x-user": "1"}), ask(headers={"X-User": "1"}), ask(headers={"x-user": "2"})),
        ("x-user", ask(), ask(), ask(headers={"x-user": "1"})),
    ],
)
def test_requests_with_the_same_values_share_a_bucket(part: str, one: Request, same: Request, other: Request) -> None:
    snapshot_ = world(limit("shop/limit", part))
    buckets = [effect(snapshot_, request).buckets[0].key for request in (one, same, other)]
    assert buckets[0] == buckets[1] != buckets[2]
    assert all(found.startswith("{shop/limit}") for found in buckets)


def test_without_a_key_all_requests_share_one_bucket() -> None:
    snapshot_ = world(limit())
    assert (
        effect(snapshot_, ADDRESS).buckets[0].key == effect(snapshot_, ask("/books")).buckets[0].key == "{shop/limit}"
    )


def test_a_value_can_not_be_split_over_two_parts() -> None:
    snapshot_ = world(limit("shop/limit", "x-a", "x-b"))
    one = effect(snapshot_, ask(headers={"x-a": "1", "x-b": "23"}))
    other = effect(snapshot_, ask(headers={"x-a": "12", "x-b": "3"}))
    assert one.buckets[0].key != other.buckets[0].key


def test_a_tenants_own_budget_comes_before_its_plans_and_that_before_everybodys() -> None:
    budgets: dict[str, Any] = {"budget": budget(1), "plans": {"gold": budget(2)}, "tenants": {"bolt": budget(3)}}
    snapshot_ = world(limit("shop/limit", "TENANT", **budgets))
    asked = [effect(snapshot_, ask(headers=headers)).buckets[0] for headers in ({}, key("ANN"), key("BOB"))]
    found = [bucket.burst for bucket in asked if isinstance(bucket, Bucket)]
    assert found == [1, 2, 3]


def test_limits_that_each_proxy_counts_are_left_to_it_unless_asked_for() -> None:
    snapshot_ = world(limit("shop/native", exact=False), limit("shop/exact"))
    assert [found.key for found in effect(snapshot_, ask()).buckets] == ["{shop/exact}"]
    counting = decide(snapshot_, ask(), counting_native=True)
    before = next(counting)
    assert isinstance(before, TakeTokens)
    assert [found.key for found in before.buckets] == ["{shop/exact}"]
    after = counting.send(Verdict((Level(False, 1.0),)))
    assert isinstance(after, TakeTokens)
    assert [found.key for found in after.buckets] == ["{shop/native}"]
    assert decided(world(limit(exact=False)), ask()).limits == ()


def test_a_quota_has_one_account_in_each_period() -> None:
    snapshot_ = world(limit(budget=budget(3, burst=5), period=pb.PERIOD_DAY))
    counters = TokenBuckets()

    def ask_at(now: float) -> Decision:
        return run(decide(snapshot_, replace(ask(), now=now)), counters, now)

    morning, evening = NOW - NOW % 86_400, NOW - NOW % 86_400 + 86_399
    used = [ask_at(now) for now in (morning, morning + 1, evening)]
    assert [decision.limits[0].remaining for decision in used] == [2, 1, 0]
    assert dict(used[0].response_headers)["x-ratelimit-reset"] == "86400"
    refused = ask_at(evening)
    assert (refused.status, refused.reason) == (429, Reason.QUOTA_USED)
    assert dict(refused.response_headers) == {
        "x-ratelimit-limit": "3",
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": "1",
        "retry-after": "1",
    }
    assert ask_at(evening + 1).limits[0].remaining == 2


def test_a_quota_that_is_raised_gives_more_at_once_and_one_that_is_lowered_knows_what_was_used() -> None:
    counters = TokenBuckets()

    def left_of(requests: int) -> tuple[int, int]:
        snapshot_ = world(limit(budget=budget(requests), period=pb.PERIOD_MONTH))
        decision = run(decide(snapshot_, ask()), counters, NOW)
        return decision.status, decision.limits[0].remaining

    assert [left_of(3)[1] for _ in range(3)] == [2, 1, 0]
    assert left_of(3) == (429, 0)
    assert left_of(1000)[1] == 996
    assert left_of(2) == (429, 0)
    assert left_of(5)[1] == 0


def test_a_quota_says_in_explanations_what_is_left_of_it() -> None:
    trail = Trail()
    snapshot_ = world(limit(budget=budget(30), period=pb.PERIOD_MONTH))
    run(decide(snapshot_, ask(), trail=trail), TokenBuckets(), NOW)
    told = [finding.detail for finding in trail.findings if finding.stage == "ratelimit"]
    assert told == ["29 of 30 requests a month are left"]


def test_a_period_that_is_not_known_is_no_limit_to_guess_at() -> None:
    with pytest.raises(ValueError, match="period"):
        world(limit(period=99))


def test_a_limit_in_the_shadow_is_reported_and_not_told_to_clients() -> None:
    trail = Trail()
    snapshot_ = world(limit(shadow=True))
    decision = answered(snapshot_, ask(), Verdict((Level(True, 0.0),)), trail)
    assert (decision.allowed, decision.shadow, decision.response_headers) == (True, ("RateLimit shop/limit",), ())
    assert [finding.verdict for finding in trail.findings if finding.stage == "ratelimit"] == ["shadowed"]


@pytest.mark.parametrize(
    ("fields", "allowed"),
    [
        ({"fail_open": True}, True),
        ({"fail_open": False}, False),
        ({"fail_open": False, "shadow": True}, True),
    ],
)
def test_without_counters_the_limit_says_what_happens(fields: dict[str, Any], allowed: bool) -> None:
    trail = Trail()
    decision = answered(world(limit(**fields)), ask(), Unavailable(), trail)
    assert decision.allowed is allowed
    assert (decision.status, decision.reason) == ((200, None) if allowed else (503, Reason.COUNTERS_UNAVAILABLE))
    assert [finding.stage for finding in trail.findings].count("ratelimit") == 1


def test_who_is_not_allowed_spends_no_token() -> None:
    snapshot_ = world(limit()).apply(
        [
            auth(
                "shop/members",
                providers=[key_provider(any_tenant=True)],
                authorizations=[grants(pb.Grant(name="g", roles=["admin"]))],
            )
        ]
    )
    counters = TokenBuckets()
    assert decided(snapshot_, ask(headers=key("ANN")), counters=counters).status == 403
    assert counters.size == 0


def test_a_limit_that_is_not_in_the_snapshot_fails_closed() -> None:
    decision = decided(world(names=("shop/lost",)), ask())
    assert (decision.status, decision.reason) == (503, Reason.COUNTERS_UNAVAILABLE)


def test_tokens_come_back_with_time() -> None:
    snapshot_, counters = world(limit(budget=budget(1, 10_000))), TokenBuckets()
    statuses = [decided(snapshot_, ask(now=NOW + t), counters=counters).status for t in (0, 9.9, 10, 10.1, 20)]
    assert statuses == [200, 429, 200, 429, 200]


def test_what_is_left_is_told() -> None:
    trail = Trail()
    decided(world(limit()), ask(), trail=trail)
    (finding,) = [finding for finding in trail.findings if finding.stage == "ratelimit"]
    assert (finding.detail, finding.object) == ("9 of 10 tokens are left", "RateLimit shop/limit")


def test_bytes_that_are_no_text_tell_callers_apart_too() -> None:
    counters = TokenBuckets()
    snapshot_ = world(limit("shop/limit", "x-caller", budget=budget(1)))
    told = [
        decided(snapshot_, ask(headers={"x-caller": value}), counters=counters).status
        for value in ("\udc80", "\udc81", "\udc80")
    ]
    assert told == [200, 200, 429]


def test_what_answers_cost_is_owed_and_not_taken_before() -> None:
    counters = TokenBuckets()
    snapshot_ = world(limit("shop/tokens", budget=budget(100), cost=pb.Cost(path="usage.total_tokens", otherwise=7)))
    first = decided(snapshot_, ask(), counters=counters)
    assert [(state.remaining, state.counts) for state in first.limits] == [(100, "units")]
    counters.take(settle_ends(first.ends, 200, {"usage.total_tokens": 130.0}), NOW)
    refused = decided(snapshot_, ask(), counters=counters)
    assert (refused.status, refused.reason, refused.ends) == (429, Reason.EXCEEDED, ())
    assert dict(refused.response_headers)["x-ratelimit-remaining"] == "0"
    later = decided(snapshot_, replace(ask(), now=NOW + 3600), counters=counters)
    assert later.allowed


def test_places_are_taken_at_once_and_given_back_at_the_end() -> None:
    counters, trail = TokenBuckets(), Trail()
    snapshot_ = world(limit("shop/at-once", budget=budget(1), lease_ms=60_000))
    first = run(decide(snapshot_, ask(), trail=trail), counters, NOW)
    assert [(state.burst, state.remaining, state.reset_s) for state in first.limits] == [(1, 0, 0)]
    assert "0 of 1 places for requests under way are left" in [finding.detail for finding in trail.findings]
    refused = decided(snapshot_, ask(), counters=counters)
    assert (refused.status, refused.reason) == (429, Reason.TOO_MANY_AT_ONCE)
    assert dict(refused.response_headers)["retry-after"] == "1"
    counters.take(settle_ends(first.ends, 200, {}), NOW)
    assert decided(snapshot_, ask(), counters=counters).allowed
    assert decided(snapshot_, replace(ask(), now=NOW + 61), counters=counters).allowed
    assert counters.size == 1


def test_plans_have_costs_and_places_of_their_own() -> None:
    gold = {"gold": budget(3)}
    snapshot_ = world(limit("shop/at-once", "TENANT", budget=budget(1), plans=gold, lease_ms=60_000))
    counters = TokenBuckets()
    for id_, most in (("ANN", 3), ("BOB", 1)):
        found = [decided(snapshot_, ask(headers=key(id_)), counters=counters).status for _ in range(4)]
        assert found == [200] * most + [429] * (4 - most)


def test_in_the_shadow_nothing_is_owed_by_who_would_be_refused() -> None:
    counters = TokenBuckets()
    snapshot_ = world(limit("shop/at-once", budget=budget(1), lease_ms=60_000, shadow=True))
    first, second = (decided(snapshot_, ask(), counters=counters) for _ in range(2))
    assert [len(each.ends) for each in (first, second)] == [1, 0]
    assert second.allowed
    assert second.shadow == ("RateLimit shop/at-once",)
