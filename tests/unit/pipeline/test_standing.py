"""Who may stay: judged as if the request came now, with its Origin, and nothing is counted."""

# ruff: noqa: ANN401 - fields of messages are handed on as they are

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import Any

import pytest
from fastforward_pipeline import Proof, Reason, Refusal, Request, Snapshot, VerifyPassword
from fastforward_pipeline.standing import Standing, find_handshake, judge_handshake, judge_standing, rests

from fastforward.snapshot.v1 import snapshot_pb2 as pb
from support.decision_snapshots import (
    EDGE,
    HOST,
    NOW,
    SCOPE,
    apikeys,
    ask,
    auth,
    budget,
    grants,
    host,
    jwt_provider,
    key_provider,
    keyset,
    limit,
    plan,
    snapshot,
    stored_key,
    tenant,
)
from support.forged_jwts import Issuer

SECRET = "s" * 43
KEY = {"x-api-key": f"ffk_ANN_{SECRET}"}
ISSUER = Issuer(now=NOW)
WEBSOCKET, GRAPHQL = pb.ADAPTER_PROTOCOL_WEBSOCKET, pb.ADAPTER_PROTOCOL_GRAPHQL


def live(*origins: str, name: str = "live", path: str = "/live", **fields: Any) -> pb.Resource:
    adapter = pb.AdapterDispatch(protocol=WEBSOCKET, origins=origins)
    made = plan(name, path, auth="shop/members", **fields)
    made.plan.adapter.CopyFrom(adapter)
    return made


MEMBERS = auth(
    "shop/members",
    providers=[key_provider(any_tenant=True), jwt_provider(any_tenant=True)],
    authorizations=[grants(pb.Grant(name="readers", roles=["reader"]))],
)
ANN = {"tenant": "acme", "subject": "ann", "roles": ["reader"]}
PARTS = (MEMBERS, keyset(ISSUER.jwks()), tenant("acme"), apikeys(stored_key("ANN", SECRET, **ANN)))


def world(*plans: pb.Resource, **key: object) -> Snapshot:
    return snapshot(host(*(plans or (live(),))), *PARTS, apikeys(stored_key("ANN", SECRET, **{**ANN, **key})))


BEFORE = world()


def handshake(**fields: object) -> Request:
    given = {"path": "/live", "headers": KEY, "scheme": "https", "edge": EDGE, "body_bytes": 0, **fields}
    return ask(**given)  # ty: ignore[invalid-argument-type]


def reason(outcome: Standing | Refusal | VerifyPassword) -> Reason:
    assert isinstance(outcome, Refusal)
    return outcome.reason


def stands(outcome: Standing | Refusal | VerifyPassword) -> tuple[str, str, float]:
    assert isinstance(outcome, Standing)
    return outcome.tenant, outcome.subject, outcome.until


def test_who_is_let_in_stands_for_as_long_as_the_credentials_last() -> None:
    assert stands(judge_standing(world(), handshake())) == ("acme", "ann", inf)
    assert stands(judge_standing(world(not_after=NOW + 60), handshake())) == ("acme", "ann", NOW + 60)
    token = ISSUER.token(exp=NOW + 100, roles=["reader"], tenant="acme")
    by_token = handshake(headers={"authorization": f"Bearer {token}"})
    until = stands(judge_standing(world(), by_token))[2]
    assert until == NOW + 161  # 60 s of grace for clocks that differ
    assert isinstance(judge_standing(world(), replace(by_token, now=until - 1)), Standing)
    assert reason(judge_standing(world(), replace(by_token, now=until))) is Reason.TOKEN_INVALID


@pytest.mark.parametrize(("token_ends", "key_ends", "ends"), [(100, 0, 161), (100, 120, 120), (200, 120, 120)])
@pytest.mark.parametrize("by", ["two rules", "one rule"])
def test_of_several_credentials_the_first_to_end_counts(by: str, token_ends: int, key_ends: int, ends: int) -> None:
    """Everybody's rule asks for a token, and the tenant's for a key; or one rule is sent both."""
    bearer = f"Bearer {ISSUER.token(exp=NOW + token_ends, roles=['reader'], tenant='acme')}"
    parts = [*PARTS, apikeys(stored_key("ANN", SECRET, **ANN, not_after=NOW + key_ends if key_ends else 0))]
    if by == "two rules":
        everybody = plan("everybody", "/live", auth="shop/tokens")
        tokens = auth("shop/tokens", providers=[jwt_provider(any_tenant=True)])
        keys = auth("shop/members", providers=[key_provider(any_tenant=True)])
        parts.extend([host(everybody), host(live(), tenant="acme"), tokens, keys])
    else:
        parts.append(host(live()))
    both = handshake(headers={**KEY, "authorization": bearer})
    assert stands(judge_standing(snapshot(*parts), both))[2] == NOW + ends


@pytest.mark.parametrize(
    ("later", "why"),
    [
        (world().apply([apikeys()]), Reason.KEY_UNKNOWN),
        (world(not_after=NOW - 1), Reason.KEY_EXPIRED),
        (world(roles=["guest"]), Reason.NOT_GRANTED),
        (world().apply((), ["auth/shop/members"]), Reason.NOT_READY),
        (world(live(path="/elsewhere")), Reason.NO_ROUTE),
        (world(live(admission=pb.Admission(deny_addresses=["198.51.100.0/24"]))), Reason.ADDRESS_DENIED),
        (world().apply((), [f"scope/{SCOPE}"]), Reason.NO_ROUTE),
    ],
)
def test_whatever_is_taken_away_ends_it(later: Snapshot, why: Reason) -> None:
    standing = judge_handshake(BEFORE, handshake(), WEBSOCKET)
    assert isinstance(standing, Standing)
    assert reason(judge_handshake(later, handshake(), WEBSOCKET)) is why
    assert rests(BEFORE, handshake(), standing)
    assert not rests(later, handshake(), standing)


@pytest.mark.parametrize(
    ("changed", "stays"),
    [
        (tenant("globex"), True),
        (host(plan("books"), name="books.example.com"), True),
        (auth("shop/others", "OPTIONAL"), True),
        (keyset(ISSUER.jwks(), "second"), True),
        (apikeys(name="shop/other-keys"), True),
        (pb.Resource(name="upstream/shop/live", upstream=pb.Upstream()), True),
        (tenant("acme", flags=["beta"]), False),
        (apikeys(stored_key("ANN", SECRET, tenant="acme")), False),
        (keyset(ISSUER.jwks()), False),
        (auth("shop/members", "OPTIONAL"), False),
        (host(live()), False),
        (host(plan("own", "/own"), tenant="acme"), False),
    ],
    ids=[
        "a tenant",
        "a host",
        "another policy",
        "other tokens",
        "other keys",
        "an upstream",
        "its tenant",
        "its key",
        "its issuer",
        "its policy",
        "its host",
        "its tenant rules",
    ],
)
def test_only_what_it_was_judged_by_can_take_it_away(changed: pb.Resource | list[pb.Resource], *, stays: bool) -> None:
    standing = judge_standing(BEFORE, handshake())
    assert isinstance(standing, Standing)
    later = BEFORE.apply([changed] if isinstance(changed, pb.Resource) else changed)
    assert rests(later, handshake(), standing) is stays


def test_a_host_that_is_named_more_exactly_later_is_another_ground() -> None:
    wild = snapshot(host(live(), name="*.example.com"), *PARTS)
    standing = judge_standing(wild, handshake())
    assert isinstance(standing, Standing)
    assert not rests(wild.apply(host(plan("books"))), handshake(), standing)


def test_a_rule_that_leads_elsewhere_by_now_has_no_connections() -> None:
    assert reason(judge_handshake(world(plan("live", "/live")), handshake(), WEBSOCKET)) is Reason.NO_ROUTE
    assert reason(judge_handshake(world(), handshake(), GRAPHQL)) is Reason.NO_ROUTE


def test_to_stay_costs_no_token() -> None:
    limited = live(limits=["shop/few"])
    made = world(limited).apply([limit("shop/few", "TENANT", budget=budget(1))])
    assert all(isinstance(judge_standing(made, handshake()), Standing) for _ in range(5))


@pytest.mark.parametrize(
    "origin",
    [
        "",
        f"https://{HOST}",
        f"https://{HOST.upper()}",
        f"https://{HOST}:8443",
        "https://shop.example.com",
        "https://a.b.example.org",
    ],
)
def test_pages_of_the_host_and_of_named_origins_may(origin: str) -> None:
    made = world(live("https://shop.example.com", "https://*.example.org"))
    headers = {**KEY, "origin": origin} if origin else KEY
    assert isinstance(judge_handshake(made, handshake(headers=headers), WEBSOCKET), Standing)


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        f"http://{HOST}",
        HOST,
        f"https://{HOST}.evil.example",
        f"https://evil.example/{HOST}",
        "https://evil.example",
        "http://shop.example.com",
        "https://example.org",
        f"https://{HOST},https://evil.example",
    ],
)
def test_pages_of_others_may_not(origin: str) -> None:
    made = world(live("https://shop.example.com", "https://*.example.org"))
    refused = judge_handshake(made, handshake(headers={**KEY, "origin": origin}), WEBSOCKET)
    assert reason(refused) is Reason.ORIGIN_DENIED
    assert isinstance(refused, Refusal)
    assert (refused.object, refused.field) == ("Route shop/live", "rules[main].adapter.origins")


def test_without_tls_the_host_s_own_pages_may_and_a_star_is_everybody() -> None:
    plain = handshake(headers={**KEY, "origin": f"http://{HOST}"}, scheme="http")
    assert isinstance(judge_handshake(world(), plain, WEBSOCKET), Standing)
    anybody = handshake(headers={**KEY, "origin": "null"})
    assert isinstance(judge_handshake(world(live("*")), anybody, WEBSOCKET), Standing)


def test_a_connection_is_judged_by_its_path_so_that_it_outlasts_its_plan() -> None:
    found = find_handshake(world(), handshake(plan="live"))
    assert (found.plan, found.path) == ("", "/live")
    edited = world(live(name="live-edited"))
    assert isinstance(judge_handshake(edited, found, WEBSOCKET), Standing)


def test_where_the_proxy_has_rewritten_the_path_it_is_judged_by_its_plan() -> None:
    made = world(live(), plan("other", "/rewritten"))
    for path in ("/rewritten", "/nowhere"):
        found = find_handshake(made, handshake(plan="live", path=path))
        assert found.plan == "live"
        assert isinstance(judge_handshake(made, found, WEBSOCKET), Standing)
        assert isinstance(judge_handshake(made.apply([apikeys()]), found, WEBSOCKET), Refusal)


def test_a_plan_that_is_not_there_is_no_way_in() -> None:
    found = find_handshake(world(), handshake(plan="gone", path="/nowhere"))
    assert reason(judge_handshake(world(), found, WEBSOCKET)) is Reason.NO_ROUTE


def test_who_came_with_a_password_stays_for_as_long_as_it_is_the_password() -> None:
    def world_of(*known: pb.User) -> Snapshot:
        provider = pb.Provider(name="shop/staff/basic", policy="shop/staff", any_tenant=True)
        provider.basic.users.append("shop/users")
        made = live()
        made.plan.auth = "shop/staff"
        users_ = pb.Resource(name="users/shop/users", users=pb.Users(users=known))
        return snapshot(host(made), auth("shop/staff", providers=[provider]), users_)

    jo, request = pb.User(name="jo", hash="$2b$10$first"), handshake(headers={"authorization": "Basic am86c2VjcmV0"})
    before = world_of(jo)
    asked = judge_handshake(before, request, WEBSOCKET)
    assert asked == VerifyPassword("$2b$10$first", "secret")
    assert isinstance(asked, VerifyPassword)
    assert reason(judge_handshake(before, request, WEBSOCKET, {asked: Proof.WRONG})) is Reason.PASSWORD_WRONG
    assert reason(judge_handshake(before, request, WEBSOCKET, {asked: Proof.BUSY})) is Reason.PASSWORDS_BUSY
    standing = judge_handshake(before, request, WEBSOCKET, {asked: Proof.RIGHT})
    assert stands(standing) == ("", "jo", inf)
    assert isinstance(standing, Standing)
    assert rests(before, request, standing)
    after = world_of(pb.User(name="jo", hash="$2b$10$second"))
    assert not rests(after, request, standing)
    assert isinstance(judge_handshake(after, request, WEBSOCKET, {asked: Proof.RIGHT}), VerifyPassword)
