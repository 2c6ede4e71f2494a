"""Login by OpenID Connect, judged without a proxy: who is sent where, what is asked meanwhile, which sessions hold."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastforward_pipeline import (
    DrawBytes,
    Proof,
    Reason,
    RedeemCode,
    Redeemed,
    Request,
    SnapshotError,
    Trail,
    decide,
    upstream_request,
)
from fastforward_pipeline.openapi import describe
from fastforward_pipeline.stages.oidc import LOGIN_S, local_target
from fastforward_pipeline.standing import Standing, judge_standing, rests
from hypothesis import given
from hypothesis import strategies as st

from fastforward.snapshot.v1 import snapshot_pb2 as pb
from support.decision_snapshots import (
    HOST,
    NOW,
    ask,
    auth,
    decided,
    host,
    jwt_provider,
    plan,
    snapshot,
)
from support.issuer import CLIENT, ISSUER
from support.logins import (
    NAME,
    STAFF,
    Answering,
    begun,
    came_back,
    client,
    cookies,
    location,
    page,
    provider,
    session,
    world,
)


def test_a_page_without_a_session_is_sent_to_the_issuer() -> None:
    trail = Trail()
    decision = Answering().run(world(), page("/orders"), trail)
    assert location(decision).startswith(f"{ISSUER}/authorize?prompt=login&response_type=code&client_id=shop&")
    asked, _ = begun(world())
    assert (asked["redirect_uri"], asked["scope"]) == (f"http://{HOST}/back", "openid profile")
    assert len(asked["state"]) == len(asked["nonce"]) == 22
    assert asked["code_challenge_method"] == "S256"
    told = trail.to_dict(decision)
    assert (told["reason"], told["remedy"] != "") == ("authentication/login-started", True)
    (found,) = [finding for finding in trail.findings if finding.stage == "authentication"]
    assert (found.object, found.field) == (f"AuthPolicy {STAFF}", "spec.authentication.providers[login].oidc")
    assert found.detail == f"there is no session, so the browser is sent to {ISSUER}"


def test_an_explanation_draws_nothing_and_asks_nobody() -> None:
    decision = decided(world(), page())
    assert decision.reason is Reason.LOGIN_STARTED
    assert "state=AAAAAAAAAAAAAAAAAAAAAA" in location(decision)
    known = world()
    kept = {"state": "A" * 22, "nonce": "n", "verifier": "v", "target": "/", "until": NOW + 9}
    sealed = known.oidc[NAME].seal(kept, f"login {HOST}", b"i" * 12)
    waiting = {"cookie": f"ff-login-{known.oidc[NAME].mark}-{'A' * 8}={sealed}"}
    assert decided(known, page(f"/back?code=c&state={'A' * 22}", headers=waiting)).reason is Reason.LOGIN_UNAVAILABLE


def test_whoever_comes_back_has_a_session_and_its_page() -> None:
    answers = Answering(tenant="acme", roles=["staff"], permissions="read write")
    decision = came_back(answers)
    assert (decision.status, decision.reason) == (302, Reason.LOGGED_IN)
    assert location(decision) == "/orders?page=2"
    (name, value, attributes), (waited, nothing, over) = cookies(decision)
    assert attributes == "Path=/; Max-Age=3600; HttpOnly; SameSite=Lax"
    assert (waited.startswith("ff-login-"), nothing, "Max-Age=0" in over) == (True, "", True)
    redeemed = next(effect for effect in answers.asked if isinstance(effect, RedeemCode))
    assert (redeemed.code, redeemed.redirect_uri, len(redeemed.verifier)) == ("abc", f"http://{HOST}/back", 43)
    trail = Trail()
    let_in = decided(world(), ask("/orders", headers={"cookie": f"{name}={value}"}), trail=trail)
    assert let_in.allowed
    identity = let_in.identity
    assert identity is not None
    assert (identity.subject, let_in.tenant, identity.until) == ("ann", "acme", NOW + 3600)
    assert (identity.roles, identity.permissions) == ({"staff"}, {"read", "write"})
    assert "the caller is ann, by a session" in [found.detail for found in trail.findings]


def test_with_tls_cookies_are_this_hosts_alone() -> None:
    decision = came_back(Answering(), scheme="https")
    for name, _, attributes in cookies(decision):
        assert name.startswith("__Host-ff-")
        assert attributes.endswith("; Secure")


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (ask(), Reason.LOGIN_REQUIRED),
        (page(method="POST"), Reason.LOGIN_REQUIRED),
        (page(headers={"sec-fetch-mode": "cors"}), Reason.LOGIN_REQUIRED),
        (page(headers={"accept": "*/*"}), Reason.LOGIN_REQUIRED),
        (page("/back", method="POST"), Reason.LOGIN_REQUIRED),
        (page("/back"), Reason.LOGIN_FAILED),
        (page("/back?code=a&state=b"), Reason.LOGIN_FAILED),
        (page("/back?code=a&state=" + "a" * 22), Reason.LOGIN_FAILED),
        (page("/back?" + "&".join(f"a{number}=b" for number in range(40))), Reason.LOGIN_FAILED),
        (page("/out"), Reason.LOGGED_OUT),
        (ask("/out", "POST"), Reason.LOGGED_OUT),
    ],
)
def test_others_are_not_sent_there(request_: Request, reason: Reason) -> None:
    decision = Answering().run(world(), request_)
    assert (decision.reason, decision.allowed) == (reason, False)


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("error=access_denied&state={state}", "the issuer says 'access_denied'"),
        ("state={state}", "the issuer says 'nothing'"),
        ("code={code_challenge}&state={state}&iss=http://other", "the answer is of 'http://other'"),
        ("code=a&code=b&state={state}", "no login of this browser waits for that answer"),
        ("code=a&state={nonce}", "no login of this browser waits for that answer"),
        ("code=" + "a" * 5000 + "&state={state}", "the issuer says 'nothing'"),
    ],
)
def test_an_answer_that_gives_no_code_ends_the_login(query: str, detail: str) -> None:
    answers = Answering()
    decision = came_back(answers, query=query)
    assert decision.refusal is not None
    assert (decision.reason, decision.refusal.detail) == (Reason.LOGIN_FAILED, detail)
    assert not any(isinstance(effect, RedeemCode) for effect in answers.asked)


def test_a_login_has_its_time() -> None:
    known = world()
    asked, waiting = begun(known)
    for later, reason in ((LOGIN_S - 1, Reason.LOGGED_IN), (LOGIN_S, Reason.LOGIN_FAILED)):
        answers = Answering(exp=NOW + LOGIN_S + 60)
        answers.nonce = asked["nonce"]
        decision = answers.run(known, page(f"/back?code=a&state={asked['state']}", headers=waiting, now=NOW + later))
        assert decision.reason is reason


@pytest.mark.parametrize(
    ("redeemed", "reason"),
    [
        (Redeemed(fault="no"), Reason.LOGIN_FAILED),
        (Redeemed(fault="away", reached=False), Reason.LOGIN_UNAVAILABLE),
        (Redeemed(id_token="a.b"), Reason.LOGIN_FAILED),
        (Redeemed(id_token="é.b.c"), Reason.LOGIN_FAILED),
    ],
)
def test_what_the_token_endpoint_does_not_give_opens_nothing(redeemed: Redeemed, reason: Reason) -> None:
    assert came_back(Answering(redeemed)).reason is reason


def test_a_tenant_that_the_provider_may_not_name_is_refused_at_login_and_later() -> None:
    closed = provider(tenants=("acme",), any_tenant=False)
    assert came_back(Answering(tenant="globex"), world(closed)).reason is Reason.TENANT_NOT_ALLOWED
    assert came_back(Answering(tenant="acme"), world(closed)).reason is Reason.LOGGED_IN
    known = world(closed)
    assert decided(known, ask(headers=session(known, tenant="globex"))).reason is Reason.TENANT_NOT_ALLOWED
    assert decided(known, ask(headers=session(known, tenant="acme"))).allowed


def test_a_session_that_no_cookie_holds_is_told() -> None:
    decision = came_back(Answering(roles=[f"a-rather-long-role-{number}" for number in range(400)]))
    assert decision.refusal is not None
    assert decision.refusal.detail == "400 roles and 0 permissions are too many for a cookie"


@pytest.mark.parametrize(
    "said",
    [
        {"until": NOW},
        {"until": None},
        {"subject": None},
        {"tenant": 5},
        {"roles": "admin"},
        {"permissions": None},
    ],
)
def test_a_session_that_is_over_or_odd_is_none(said: dict[str, Any]) -> None:
    known = world()
    assert decided(known, ask(headers=session(known, **said))).reason is Reason.LOGIN_REQUIRED
    optional = world(mode="OPTIONAL")
    decision = decided(optional, ask(headers=session(optional, **said)))
    assert decision.allowed
    assert decision.identity is not None
    assert decision.identity.subject == ""


@pytest.mark.parametrize("value", ["", "=", "!", "a", "AAAA" * 20, "é" * 8])
def test_what_nobody_has_sealed_is_no_session(value: str) -> None:
    known = world()
    headers = {"cookie": f"ff-session-{known.oidc[NAME].mark}={value}"}
    assert decided(known, ask(headers=headers)).reason is Reason.LOGIN_REQUIRED


def test_another_cookie_of_that_name_hides_nothing() -> None:
    known = world()
    good = session(known)["cookie"]
    name = good.partition("; ")[2].partition("=")[0]
    assert decided(known, ask(headers={"cookie": f"{name}=tossed; {good}"})).allowed


def test_upstreams_see_the_other_cookies_alone() -> None:
    known = world()
    headers = session(known)
    request = ask(headers=headers)
    decision = decided(known, request)
    assert dict(decision.request_headers)["cookie"] == "a=b"
    assert upstream_request(decision, request).headers["cookie"] == ("a=b",)
    alone = ask(headers={"cookie": headers["cookie"].removeprefix("a=b; ")})
    assert "cookie" not in upstream_request(decided(known, alone), alone).headers


def test_an_adapter_sees_the_session_because_it_judges_it_again() -> None:
    sockets = plan("books", "/", auth=STAFF)
    sockets.plan.adapter.protocol = pb.ADAPTER_PROTOCOL_WEBSOCKET
    known = snapshot(host(sockets), auth(STAFF, providers=[provider()]), client())
    decision = decided(known, ask(headers=session(known)))
    assert decision.allowed
    assert "cookie" not in dict(decision.request_headers)


def test_logging_out_goes_by_way_of_the_issuer_where_it_wants_that() -> None:
    known = world(provider(end_session_url=f"{ISSUER}/logout", origin="https://shop.example.com:8443"))
    decision = Answering().run(known, page("/out"))
    sent = urlsplit(location(decision))
    assert parse_qs(sent.query) == {
        "client_id": [CLIENT],
        "post_logout_redirect_uri": ["https://shop.example.com:8443/"],
    }
    assert location(Answering().run(world(), page("/out"))) == "/"


def test_without_the_client_nobody_is_let_in() -> None:
    known = world().apply((), [f"oidc/{NAME}"])
    for request in (page(), page("/back"), ask(headers={"cookie": "a=b"})):
        assert Answering().run(known, request).reason is Reason.NOT_READY


@pytest.mark.parametrize("missing", ["client_id", "secret", "token_url"])
def test_a_client_that_can_log_nobody_in_is_no_snapshot(missing: str) -> None:
    with pytest.raises(SnapshotError, match="logs nobody in"):
        world(known=client(**{missing: type(getattr(client().oidc, missing))()}))


def test_what_else_is_taken_is_told_and_goes_first() -> None:
    known = world(provider(), jwt_provider(any_tenant=True, keyset="login"))
    decision = decided(known, ask())
    assert [value for name, value in decision.response_headers if name == "www-authenticate"] == [
        f'Bearer realm="http://{HOST}/"',
        f'OpenID realm="{HOST}"',
    ]
    wrong = {**session(known), "authorization": "Bearer a.b.c"}
    assert decided(known, ask(headers=wrong)).reason is Reason.TOKEN_INVALID


def test_a_connection_stands_as_long_as_the_session_and_its_client() -> None:
    known = world()
    request = ask(headers=session(known))
    standing = judge_standing(known, request)
    assert isinstance(standing, Standing)
    assert (standing.subject, standing.until) == ("ann", NOW + 60)
    assert rests(known, request, standing)
    assert not rests(known.apply([client(secret=b"another secret of it")]), request, standing)
    refused = judge_standing(known, page())
    assert getattr(refused, "reason", None) is Reason.LOGIN_REQUIRED, "nobody is sent away from within a connection"


def test_an_answer_of_another_kind_asks_again_for_nothing() -> None:
    steps = decide(world(), page())
    assert isinstance(next(steps), DrawBytes)
    assert isinstance(steps.send(Proof.RIGHT), DrawBytes)


def test_rules_that_ask_for_no_login_see_all_cookies() -> None:
    known = world(jwt_provider(any_tenant=True), mode="OPTIONAL")
    decision = decided(known, ask(headers={"cookie": "ff-session-00000000=x"}))
    assert "cookie" not in dict(decision.request_headers)


@given(st.text(st.characters(max_codepoint=255), max_size=60))
def test_no_path_leads_to_another_host(path: str) -> None:
    written = local_target(f"/{path}")
    assert written.startswith("/")
    assert not written.startswith(("//", "/\\"))
    assert written.isascii()
    assert written.isprintable()
    assert " " not in written
    assert urlsplit(written).netloc == ""


def test_a_path_that_is_too_long_is_forgotten() -> None:
    assert local_target("/" + "a" * 2000) == "/"
    assert local_target("/a%2Fb?c=d&e=%20f") == "/a%2Fb?c=d&e=%20f"


def test_the_description_of_an_api_says_where_to_log_in() -> None:
    sends = plan("books", "/", auth=STAFF, message=pb.MessageDispatch(type="shop.books.read", upstream="shop/books"))
    known = snapshot(host(sends), auth(STAFF, providers=[provider()]))
    assert describe(known, HOST)["components"]["securitySchemes"]["login"] == {
        "type": "openIdConnect",
        "openIdConnectUrl": f"{ISSUER}/.well-known/openid-configuration",
    }
