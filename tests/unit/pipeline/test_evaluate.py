"""`decide` as a whole: it never raises, asks for one effect at most, and tells refusals as problem documents."""

import json
from typing import Any

import pytest
from fastforward_pipeline import (
    FACTS,
    Reason,
    Request,
    TokenBuckets,
    Trail,
    decide,
    make_headers,
    problem_json,
    run,
    upstream_request,
)
from fastforward_pipeline.evaluate import STEPS
from fastforward_pipeline.stages import authentication, authorization, ingress, ratelimit, routing
from fastforward_pipeline.stages import tenant as tenant_stage
from fastforward_pipeline.trail import STAGES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.decision_snapshots import (
    HOST,
    NOW,
    REGEX,
    apikeys,
    ask,
    auth,
    decided,
    gate,
    grants,
    host,
    jwt_provider,
    key_provider,
    keyset,
    limit,
    pb,
    plan,
    shard,
    shards,
    snapshot,
    stored_key,
    tenant,
    text,
)
from support.forged_jwts import Issuer

ISSUER = Issuer(now=NOW)
SECRET = "s" * 43
MEMBERS: dict[str, Any] = {"auth": "shop/members", "limits": ["shop/limit"]}
WORLD = snapshot(
    host(plan("own", "/books", **MEMBERS), tenant="acme"),
    host(
        plan("pattern", "/v[0-9]+/.*", REGEX, headers=[text("x-a", "[a-z]*", "REGEX")], **MEMBERS),
        plan("admin", "/books", roles=["admin"], **MEMBERS),
        plan("books", "/books", query=[text("q", "1")], edge_admission=pb.Admission(deny_addresses=["10.0.0.0/8"])),
        plan("shard", "/data", shards=pb.ShardDispatch(namespace="shop", purpose="db", key="header:x-a"), **MEMBERS),
        plan("away", "/away", redirect=pb.Redirect(status=302, scheme="https"), rewrite=pb.Rewrite(prefix="/x")),
        plan("cors", "/cors", cors=pb.Cors(allow_origins=["https://*.a"]), admission=pb.Admission(max_body_bytes=1)),
        plan("all", "/all", rewrite=pb.Rewrite(regex_pattern="a+", regex_substitution=r"\0")),
        gate(**MEMBERS),
        tenant_header="x-tenant",
        trusted=["10.0.0.0/8"],
        api_version_header="x-api-version",
    ),
    auth(
        "shop/members",
        "OPTIONAL",
        providers=[jwt_provider(any_tenant=True), key_provider(any_tenant=True)],
        authorizations=[
            grants(pb.Grant(name="g", condition="request.headers['x-a'] != request.query.q || true"), shadow=True)
        ],
    ),
    keyset(ISSUER.jwks()),
    apikeys(stored_key("ANN", SECRET, tenant="acme", roles=["admin"])),
    limit("shop/limit", "ADDRESS", "TENANT", "x-a"),
    shards(one=shard(db="shop/db")),
    tenant("acme"),
)
RAW = st.binary(max_size=40).map(lambda raw: raw.decode("latin-1"))
ANYTHING = st.one_of(RAW, st.text(max_size=40))
PATHS = st.one_of(
    ANYTHING,
    st.tuples(st.sampled_from(["/books", "/v1/x", "/data", "/away", "/cors", "/all", "/", "*", ""]), ANYTHING).map(
        "".join
    ),
)
HEADERS = st.dictionaries(
    st.one_of(
        st.sampled_from(
            [
                "authorization",
                "x-api-key",
                "x-a",
                "origin",
                "content-type",
                "content-length",
                "x-tenant",
                "x-api-version",
            ]
        ),
        ANYTHING,
    ),
    st.one_of(
        ANYTHING,
        st.sampled_from([f"ffk_ANN_{SECRET}", f"Bearer {ISSUER.token(tenant='acme')}", "https://b.a", "Bearer a.b.c"]),
    ),
    max_size=5,
)
REQUESTS = st.builds(
    Request,
    method=st.one_of(st.sampled_from(["GET", "POST", "OPTIONS"]), ANYTHING),
    host=st.one_of(st.just(HOST), ANYTHING),
    path=PATHS,
    now=st.floats(0, 4e9, allow_nan=False),
    headers=HEADERS.map(lambda headers: make_headers(headers.items())),
    address=st.one_of(st.just("10.0.0.1"), ANYTHING),
    peer=st.one_of(st.just("10.0.0.1"), ANYTHING),
    listener=ANYTHING,
    edge=st.sampled_from(["", "shop/public", "shop/none"]),
    plan=st.sampled_from(["", "", "own", "books", "shard", "gate", "all", "cors", "pattern", "lost"]),
    body_bytes=st.one_of(st.none(), st.integers(0, 2**63)),
)


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(REQUESTS)
def test_no_request_makes_it_raise(request: Request) -> None:
    trail = Trail()
    decision = run(decide(WORLD, request, trail=trail, counting_native=True), TokenBuckets(), request.now)
    assert decision.allowed is (decision.reason is None)
    json.dumps(trail.to_dict(decision))
    if decision.reason is not None:
        assert json.loads(problem_json(decision))["status"] == decision.status
    elif decision.plan is not None:
        upstream_request(decision, request)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(REQUESTS)
def test_the_same_question_has_the_same_answer(request: Request) -> None:
    first, second = (run(decide(WORLD, request), TokenBuckets(), request.now) for _ in range(2))
    assert (first.status, first.reason, first.route, first.request_headers, first.response_headers) == (
        second.status,
        second.reason,
        second.route,
        second.request_headers,
        second.response_headers,
    )


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(["/books/1", "/all/x", "/data?x"]), HEADERS)
def test_the_plan_that_the_proxy_finds_leads_to_what_the_tables_say(path: str, headers: dict[str, str]) -> None:
    request = ask(path, headers={name: value for name, value in headers.items() if "_" not in name})
    asked = decided(WORLD, request)
    if asked.entry is not None:
        told = decided(WORLD, ask(path, headers=dict(headers), plan=asked.entry.name))
        if all("_" not in name for name in headers):
            assert (told.status, told.reason, told.route) == (asked.status, asked.reason, asked.route)


def test_a_refusal_is_a_problem_document() -> None:
    decision = decided(WORLD, ask("/nowhere", host="nobody.test", request_id="r-1"))
    assert json.loads(problem_json(decision)) == {
        "type": "about:blank",
        "title": "No route matches the request",
        "status": 404,
        "stage": "routing",
        "reason": "no-route",
        "requestId": "r-1",
    }


def test_what_was_allowed_is_no_problem() -> None:
    with pytest.raises(ValueError, match="refused"):
        problem_json(decided(WORLD, ask("/all")))


def test_every_reason_has_a_status_a_title_and_a_remedy_and_belongs_to_a_stage() -> None:
    assert set(FACTS) == set(Reason)
    for reason, facts in FACTS.items():
        assert 400 <= facts.status < 600 or (facts.status == 302 and "/log" in reason.value)
        assert facts.title
        assert facts.remedy
        assert reason.stage in {*STAGES, "ratelimit"}
        assert f"{reason.stage}/{reason.short}" == reason


def test_each_stage_takes_part() -> None:
    assert {*STAGES, "body", "csrf", "external", "ratelimit", "tenant"} == {
        step.__module__.rpartition(".")[2] for step in STEPS
    }


def test_nothing_is_counted_before_it_is_allowed_and_nobody_is_led_on_before_he_is_known() -> None:
    assert STEPS.index(authorization.judge) < STEPS.index(ratelimit.judge)
    assert STEPS.index(authentication.judge) < STEPS.index(tenant_stage.judge) < STEPS.index(routing.rematch)
    assert STEPS.index(ingress.answer_preflight) < STEPS.index(authentication.judge)
