"""Services that are asked: with what words, what their answers mean, and what is said of them where nobody is asked."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastforward_pipeline import (
    AskService,
    Decision,
    Proof,
    Reason,
    ServiceAnswer,
    Snapshot,
    SnapshotError,
    TokenBuckets,
    Trail,
    Unavailable,
    decide,
    problem_json,
    run,
    upstream_request,
)

from fastforward.snapshot.v1 import snapshot_pb2 as pb
from support.decision_snapshots import (
    NOW,
    apikeys,
    ask,
    auth,
    decided,
    grants,
    host,
    key_provider,
    plan,
    snapshot,
    stored_key,
)

SECRET = "s" * 43
STORED = stored_key("ANN", SECRET, tenant="acme", subject="ann\u00e9", roles=["b", "a", "c,d"], permissions=["x:y"])
ANN = {"x-api-key": f"ffk_ANN_{SECRET}"}
YES, NO = ServiceAnswer(200), ServiceAnswer(403)


def asking(policy: str = "shop/members", *granted: pb.Grant, shadow: bool = False, **fields: Any) -> pb.Authorization:  # noqa: ANN401
    said: dict[str, Any] = {"upstream": "shop/guard", "path": "/", "append_path": True, "timeout_ms": 200, **fields}
    external = pb.ExternalAuthorization(**said)
    return pb.Authorization(policy=policy, grants=granted, shadow=shadow, external=external)


def world(*authorizations: pb.Authorization) -> Snapshot:
    return snapshot(
        host(plan("books", "/", auth="shop/members")),
        auth("shop/members", "OPTIONAL", providers=[key_provider(any_tenant=True)], authorizations=authorizations),
        apikeys(STORED),
    )


def judge(
    snapshot_: Snapshot,
    *answers: ServiceAnswer | Unavailable,
    trail: Trail | None = None,
    **request: Any,  # noqa: ANN401
) -> tuple[Decision, list[AskService]]:
    """What comes out when the services answer so, one after the other; and what they were asked."""
    asked: list[AskService] = []
    running, left = decide(snapshot_, ask(**request), trail=trail), list(answers)
    try:
        effect = next(running)
        while True:
            assert isinstance(effect, AskService)
            asked.append(effect)
            effect = running.send(left.pop(0))
    except StopIteration as end:
        assert not left
        return end.value, asked


def test_it_is_asked_about_the_request_and_the_caller_by_the_gateways_own_words() -> None:
    said = world(asking(path="/authz/", request_headers=["cookie", "x-a"], timeout_ms=300))
    sent = {**ANN, "x-a": "1", "x-b": "2", "x-ff-subject": "forged", "x-forwarded-uri": "/forged"}
    decision, (asked,) = judge(
        said, YES, path="/books?q=1", method="PUT", headers=sent, scheme="https", request_id="id"
    )
    assert decision.allowed
    assert (asked.policy, asked.upstream, asked.timeout_s) == ("shop/members", "shop/guard", 0.3)
    assert (asked.method, asked.path) == ("PUT", "/authz/books?q=1")
    assert asked.headers == (
        ("x-a", "1"),
        ("host", "api.example.com"),
        ("x-forwarded-for", "198.51.100.7"),
        ("x-forwarded-host", "api.example.com"),
        ("x-forwarded-method", "PUT"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-uri", "/books?q=1"),
        ("x-request-id", "id"),
        ("x-ff-tenant", "acme"),
        ("x-ff-subject", "ann\u00c3\u00a9"),
        ("x-ff-roles", "a,b"),
        ("x-ff-permissions", "x:y"),
    )


@pytest.mark.parametrize("opa", [False, True])
@pytest.mark.parametrize(
    ("cookies", "told"),
    [
        (
            "__Host-ff-session-0a1b2c3d=s; a=b; ff-login-0a1b2c3d-AAAAAAAA=l; c=ff-session-0a1b2c3d=x",
            "a=b; c=ff-session-0a1b2c3d=x",
        ),
        ("__Host-ff-session-0a1b2c3d=s", None),
        ("a=b;c=d", "a=b;c=d"),
    ],
)
def test_sessions_of_logins_are_told_to_no_service(cookies: str, told: str | None, *, opa: bool) -> None:
    """Whoever has one is its holder, to the gateway: it is nothing for others."""
    said = world(asking(request_headers=["cookie"], opa=opa))
    answer = ServiceAnswer(200, (), b'{"result": true}') if opa else YES
    decision, (asked,) = judge(said, answer, headers={"cookie": cookies})
    assert decision.allowed
    headers = json.loads(asked.body)["input"]["request"]["headers"] if opa else dict(asked.headers)
    assert headers.get("cookie") == told


def test_repeated_headers_are_sent_as_they_came_and_a_path_of_its_own_stays() -> None:
    said = world(asking(path="/check", append_path=False, request_headers=["x-a"]))
    _, (asked,) = judge(said, YES, path="/books", headers={"x-a": "1"})
    assert asked.path == "/check"
    assert [value for name, value in asked.headers if name == "x-a"] == ["1"]


@pytest.mark.parametrize(
    ("answer", "reason", "status"),
    [
        (ServiceAnswer(204), None, 200),
        (ServiceAnswer(199), Reason.EXTERNAL_REFUSED, 403),
        (ServiceAnswer(300), Reason.EXTERNAL_REFUSED, 403),
        (ServiceAnswer(401), Reason.EXTERNAL_UNAUTHENTICATED, 401),
        (ServiceAnswer(403), Reason.EXTERNAL_REFUSED, 403),
        (ServiceAnswer(429), Reason.EXTERNAL_EXCEEDED, 429),
        (ServiceAnswer(500), Reason.EXTERNAL_REFUSED, 403),
        *((ServiceAnswer(status), Reason.EXTERNAL_UNAVAILABLE, 503) for status in (502, 503, 504)),
        (Unavailable(), Reason.EXTERNAL_UNAVAILABLE, 503),
    ],
)
def test_what_answers_mean(answer: ServiceAnswer | Unavailable, reason: Reason | None, status: int) -> None:
    decision, _ = judge(world(asking()), answer)
    assert (decision.reason, decision.status) == (reason, status)
    if decision.refusal is not None:
        assert (decision.refusal.object, decision.refusal.field) == (
            "AuthPolicy shop/members",
            "spec.authorization.external",
        )
    opened, _ = judge(world(asking(fail_open=True)), answer)
    assert opened.reason == (None if reason is Reason.EXTERNAL_UNAVAILABLE else reason)


def test_an_answer_that_is_none_is_a_no() -> None:
    running = decide(world(asking()), ask())
    assert isinstance(next(running), AskService)
    with pytest.raises(StopIteration) as end:
        running.send(Proof.RIGHT)
    assert end.value.value.reason is Reason.EXTERNAL_UNAVAILABLE


def test_a_refusal_says_what_the_service_says_within_bounds() -> None:
    headers = (("www-authenticate", "Guard"), ("retry-after", "3"), ("set-cookie", "a=b"))
    decision, _ = judge(world(asking()), ServiceAnswer(401, headers, b"x" * 5000))
    assert decision.response_headers == headers[:2]
    assert decision.refusal is not None
    assert decision.refusal.said == "x" * 1024
    assert b'"detail":"xxx' in problem_json(decision)
    silent, _ = judge(world(asking()), ServiceAnswer(404, (), b"an error page"))
    assert b"detail" not in problem_json(silent)


def test_headers_of_a_yes_go_on_in_place_of_the_clients() -> None:
    said = world(asking(answer_headers=["x-group", "x-user"]))
    told = (("x-user", "jo"), ("x-user", "ann"), ("x-other", "o"), ("x-group", "\u00e9"))
    request: dict[str, Any] = {"headers": {"x-user": "forged", "x-group": "forged", "x-mine": "1"}}
    decision, _ = judge(said, ServiceAnswer(200, told), **request)
    assert dict(decision.told) == {"x-group": "", "x-user": "jo,ann"}
    sent = upstream_request(decision, ask(**request)).headers
    assert (sent["x-user"], sent.get("x-group"), sent["x-mine"]) == (("jo,ann",), None, ("1",))
    open_ = world(asking(answer_headers=["x-user"], fail_open=True))
    for answer in (Unavailable(), ServiceAnswer(503, told)):
        without, _ = judge(open_, answer, **request)
        assert "x-user" not in upstream_request(without, ask(**request)).headers


def test_all_are_asked_until_one_refuses() -> None:
    said = world(asking("shop/a"), asking("shop/b", upstream="shop/other"), asking("shop/c"))
    assert [each.policy for each in judge(said, YES, YES, YES)[1]] == ["shop/a", "shop/b", "shop/c"]
    decision, asked = judge(said, YES, NO)
    assert [each.upstream for each in asked] == ["shop/guard", "shop/other"]
    assert decision.refusal is not None
    assert decision.refusal.object == "AuthPolicy shop/b"


def test_whom_grants_refuse_nobody_is_asked_about() -> None:
    readers = pb.Grant(name="readers", methods=["GET"])
    decision, asked = judge(world(asking("shop/a", readers), grants(readers, policy="shop/b")), method="PUT")
    assert (decision.reason, asked) == (Reason.NOT_GRANTED, [])
    assert judge(world(asking("shop/a", readers)), NO)[0].reason is Reason.EXTERNAL_REFUSED


def test_in_the_shadow_it_is_asked_and_told_of_and_hinders_nobody() -> None:
    said = world(asking("shop/watched", shadow=True, answer_headers=["x-user"]), asking("shop/strict"))
    trail = Trail()
    decision, asked = judge(said, NO, YES, trail=trail)
    assert (decision.allowed, len(asked)) == (True, 2)
    assert [(each.object, each.reason) for each in decision.would_refuse] == [
        ("AuthPolicy shop/watched", Reason.EXTERNAL_REFUSED)
    ]
    assert dict(decision.told) == {"x-user": ""}
    found = [(each.verdict, each.object) for each in trail.findings if each.field == "spec.authorization.external"]
    assert found == [("shadowed", "AuthPolicy shop/watched"), ("passed", "AuthPolicy shop/strict")]
    assert judge(said, Unavailable(), NO)[0].reason is Reason.EXTERNAL_REFUSED


def test_where_nobody_is_asked_it_is_taken_to_allow_and_the_trail_says_who_would_be() -> None:
    trail = Trail()
    said = world(asking(path="/authz"))
    assert decided(said, ask("/books"), trail=trail).allowed
    refused = run(decide(said, ask("/books")), TokenBuckets(), NOW, external=429)
    assert refused.reason is Reason.EXTERNAL_EXCEEDED
    assert refused.refusal is not None
    assert refused.refusal.detail == "Upstream shop/guard is taken to answer 429"
    (told,) = [each.detail for each in trail.findings if each.field == "spec.authorization.external"]
    assert told == "Upstream shop/guard would be asked for /authz/books; here it is taken to allow it"


@pytest.mark.parametrize(
    ("status", "body", "allows"),
    [
        (200, b'{"result": true}', True),
        (200, b'{"result": {"allow": true, "why": "x"}, "decision_id": "1"}', True),
        (200, b'{"result": false}', False),
        (200, b'{"result": {"allow": false}}', False),
        (200, b'{"result": {"allow": "true"}}', False),
        (200, b'{"result": 1}', False),
        (200, b"{}", False),
        (200, b"[true]", False),
        (200, b'{"result": tr', False),
        (200, b"[" * 100_000, False),
        (201, b'{"result": true}', False),
        (404, b'{"result": true}', False),
    ],
)
def test_open_policy_agent_allows_by_its_result(status: int, body: bytes, allows: bool) -> None:
    said = world(asking(path="/v1/data/shop/allow", opa=True))
    decision, (asked,) = judge(said, ServiceAnswer(status, (), body), path="/books?q=1", headers=ANN)
    assert decision.reason == (None if allows else Reason.EXTERNAL_REFUSED)
    assert (asked.method, asked.path) == ("POST", "/v1/data/shop/allow")
    told = json.loads(asked.body)["input"]
    assert (told["request"]["path"], told["request"]["query"]) == ("/books", "q=1")
    assert told["identity"] == {
        "subject": "ann\u00e9",
        "tenant": "acme",
        "roles": ["a", "b", "c,d"],
        "permissions": ["x:y"],
    }


def test_one_that_asks_nobody_is_refused_with_the_snapshot() -> None:
    with pytest.raises(SnapshotError):
        world(asking(upstream=""))
