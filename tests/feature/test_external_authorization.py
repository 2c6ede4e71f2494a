"""External authorization: a service is asked whether requests may pass; its no counts, what it tells goes on."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.credentials import apikeys_data
from support.gateway import Gateway, until
from support.message_target import running_target
from support.origin import Answer, Origin, Received, Reply
from support.resources import (
    Document,
    Json,
    edge,
    granted_to,
    keys_of,
    on,
    policy,
    prefix,
    proven_by,
    resource,
    route,
    rule,
    secret,
    upstream,
)

ROUTE = on("Route", "books")
KEY = {"x-api-key": "ffk_AAAAAAAAAAAA_aaaaaaaaaaaa"}
DECISION_S = 0.7
"""Longer than proxies wait for a decision."""
TOLD = ("x-auth-user", "x-auth-group")


def asking(**fields: Json) -> Document:
    """An `authorization` that asks the Upstream `guard`; patiently, for the machine may be busy."""
    return {"external": {"upstream": {"name": "guard"}, "timeout": "5s", **fields}}


def by_path(request: Received) -> Reply:
    """The status that the path names: `/refused/401`."""
    asked = request.target.partition("?")[0].rpartition("/")[2]
    status = int(asked) if asked.isdecimal() and len(asked) == 3 else 200
    headers = (("www-authenticate", "Guard"), ("retry-after", "7"), ("x-auth-user", "jo"), ("x-secret", "s"))
    return Reply(status=status, headers=headers, body="said" if status != 200 else "")


@pytest.fixture
def origin(deciding_gateway: Gateway) -> Origin:
    gateway = deciding_gateway
    origin = gateway.upstream("books")
    gateway.apply(edge(gateway.port), route("books", rule(to="books")))
    return origin


def guard(gateway: Gateway, answer: Answer = by_path, **fields: Json) -> Origin:
    """The service, and a policy that asks it."""
    service = gateway.upstream("guard", answer)
    gateway.apply(policy("guarded", ROUTE, authorization=asking(**fields)))
    return service


def test_it_is_asked_with_method_host_and_path_and_its_yes_lets_pass(gateway: Gateway, origin: Origin) -> None:
    service = guard(gateway, path="/authz/", requestHeaders=["Authorization", "x-kind"])
    sent = {"authorization": "Bearer t", "x-kind": "k", "x-other": "o", "x-ff-subject": "forged", "x-ff-roles": "admin"}
    assert gateway.request("PUT", "/books/1?q=a%20b", headers=sent, body="content").status == 200
    asked = service.last
    assert (asked.method, asked.target, asked.body) == ("PUT", "/authz/books/1?q=a%20b", b"")
    assert asked.header("host") == asked.header("x-forwarded-host") == "example.com"
    assert (asked.header("authorization"), asked.header("x-kind"), asked.header("x-other")) == ("Bearer t", "k", None)
    assert (asked.header("x-ff-subject"), asked.header("x-ff-roles")) == (None, None)
    assert (asked.header("x-forwarded-uri"), asked.header("x-forwarded-for")) == ("/books/1?q=a%20b", "127.0.0.1")
    assert origin.last.body == b"content"
    assert asked.header("x-request-id") == origin.last.header("x-request-id")


def test_a_path_of_its_own_is_asked_for_as_it_is(gateway: Gateway, origin: Origin) -> None:
    service = guard(gateway, path="/oauth2/auth", appendPath=False)
    assert gateway.get("/books?x=1").status == 200
    assert (service.last.target, service.last.header("x-forwarded-uri")) == ("/oauth2/auth", "/books?x=1")
    assert len(origin.received) == 1


@pytest.mark.parametrize(
    ("answers", "status", "reason", "detail"),
    [
        (401, 401, "external-unauthenticated", "said"),
        (403, 403, "external-refused", "said"),
        (429, 429, "external-exceeded", "said"),
        (302, 403, "external-refused", None),
        (404, 403, "external-refused", None),
        (500, 403, "external-refused", None),
        (503, 503, "external-unavailable", None),
    ],
)
def test_anything_but_2xx_refuses(
    gateway: Gateway, origin: Origin, answers: int, status: int, reason: str, detail: str | None
) -> None:
    guard(gateway)
    refused = gateway.get(f"/books/{answers}")
    assert (refused.status, refused.reason) == (status, f"authorization/{reason}")
    assert gateway.log_line(refused)["refusal"] == f"authorization/{reason}"
    told = json.loads(refused.body)
    assert (told["status"], told.get("detail")) == (status, detail)
    unavailable = status == 503
    assert refused.header("www-authenticate") == (None if unavailable else "Guard")
    assert refused.header("x-secret") is None
    assert origin.received == []


def test_long_words_are_cut_and_go_on_as_text(gateway: Gateway, origin: Origin) -> None:
    guard(gateway, lambda _: Reply(status=403, body="ä" * 100_000))
    refused = gateway.get("/")
    assert refused.status == 403
    assert json.loads(refused.body)["detail"].startswith("ää")
    assert len(refused.body) < 8_000
    assert origin.received == []


def test_headers_of_its_yes_go_on_and_forged_ones_do_not(gateway: Gateway, origin: Origin) -> None:
    guard(gateway, answerHeaders=["X-Auth-User", "x-auth-group"])
    forged = dict.fromkeys(TOLD, "forged") | {"x-ff-told-x-auth-group": "forged"}
    answer = gateway.get("/books", headers=forged)
    assert answer.status == 200
    assert [origin.last.header(name) for name in (*TOLD, "x-secret", "x-ff-told-x-auth-user")] == [
        "jo",
        None,
        None,
        None,
    ]
    assert answer.header("x-ff-told-x-auth-user") is None


@pytest.mark.parametrize(("on_failure", "status"), [("Closed", 503), ("Open", 200)])
def test_without_an_answer_the_policy_says_what_becomes_of_requests(
    gateway: Gateway, origin: Origin, on_failure: str, status: int
) -> None:
    service = guard(gateway, onFailure=on_failure, timeout="100ms", answerHeaders=["x-auth-user"])
    with service.held():
        assert gateway.get("/", headers={"x-auth-user": "forged"}).status == status
    service.stop()
    until(lambda: gateway.get("/", headers={"x-auth-user": "forged"}).status == status)
    assert {request.header("x-auth-user") for request in origin.received} <= {None}
    service.start()
    until(lambda: gateway.get("/").status == 200)
    assert gateway.get("/403").status == 403


def test_a_decision_may_take_as_long_as_the_service(gateway: Gateway, origin: Origin) -> None:
    """Longer than the proxy waits for a decision otherwise; and the service is asked once."""
    service = guard(gateway, timeout="5s")
    with ThreadPoolExecutor() as beside:
        with service.held():
            answer = beside.submit(gateway.get, "/")
            until(lambda: service.under_way)
            begun = time.monotonic()
            until(lambda: time.monotonic() - begun > DECISION_S)
        assert answer.result().status == 200
    assert len(service.received) == len(origin.received) == 1


def test_grants_are_judged_first_and_both_must_allow(gateway: Gateway, origin: Origin) -> None:
    service = gateway.upstream("guard", by_path)
    grants = granted_to(readers={"methods": ["GET"]})
    gateway.apply(policy("guarded", ROUTE, authorization={**asking(), **grants}))
    assert gateway.request("PUT", "/").reason == "authorization/not-granted"
    assert service.received == []
    assert gateway.get("/403").reason == "authorization/external-refused"
    assert gateway.get("/").status == 200
    assert len(origin.received) == 1


def test_it_is_told_who_the_caller_is_proven_to_be(gateway: Gateway, origin: Origin) -> None:
    service = gateway.upstream("guard")
    gateway.apply(
        resource("Tenant", "acme", {}),
        secret("api-keys", apikeys_data(AAAAAAAAAAAA="acme"), "gateway.fastforward.dev/api-keys"),
        policy("guarded", ROUTE, authentication=proven_by(keys_of(), mode="Optional"), authorization=asking()),
    )
    assert gateway.get(headers={**KEY, "x-ff-tenant": "globex"}).status == 200
    assert service.last.header("x-ff-tenant") == "acme"
    assert gateway.get(headers={"x-ff-tenant": "globex"}).status == 200
    assert service.last.header("x-ff-tenant") is None
    assert len(origin.received) == 2


def test_the_edges_service_is_asked_as_well_as_the_routes(gateway: Gateway, origin: Origin) -> None:
    both = {"guard": gateway.upstream("guard", by_path), "second": gateway.upstream("second")}
    gateway.apply(
        policy("guarded", on("Edge", "public"), authorization=asking()),
        policy("own", ROUTE, authorization=asking(upstream={"name": "second"})),
    )
    assert gateway.get("/").status == 200
    assert gateway.get("/403").reason == "authorization/external-refused"
    assert {name: len(each.received) for name, each in both.items()} == {"guard": 2, "second": 1}
    both["second"].answer = lambda _: Reply(status=401)
    assert gateway.get("/").reason == "authorization/external-unauthenticated"
    assert len(origin.received) == 1


def test_in_the_shadow_its_no_is_told_and_hinders_nobody(gateway: Gateway, origin: Origin) -> None:
    gateway.upstream("guard", by_path)
    gateway.apply(policy("guarded", ROUTE, authorization=asking(answerHeaders=["x-auth-user"]), shadow=True))
    passed = gateway.get("/403", headers={"x-auth-user": "forged"})
    assert passed.status == 200
    name = f"AuthPolicy {gateway.namespace}/guarded"
    assert gateway.log_line(passed)["shadowDecision"] == f"{name} authorization/external-refused"
    assert origin.last.header("x-auth-user") is None
    assert gateway.get("/").status == 200
    assert origin.last.header("x-auth-user") == "jo"
    gateway.origins["guard"].stop()
    late = gateway.get("/")
    assert late.status == 200
    assert gateway.log_line(late)["shadowDecision"] == f"{name} authorization/external-unavailable"


def test_messages_are_asked_about_as_well(deciding_gateway: Gateway) -> None:
    gateway, service = deciding_gateway, deciding_gateway.upstream("guard", by_path)
    with running_target() as target:
        sent = {"type": "shop.orders.place", "upstream": {"name": "orders"}}
        gateway.apply(
            upstream("orders", target.port, protocol="GRPC"),
            route("orders", rule(prefix("/orders"), message=sent)),
            policy("guarded", on("Route", "orders"), authorization=asking(answerHeaders=["x-auth-user"])),
        )
        headers = {"content-type": "application/json", "authorization": "Bearer t", "x-auth-user": "forged"}
        assert gateway.request("POST", "/orders/401", headers=headers, body="{}").status == 401
        assert target.received == []
        assert gateway.request("POST", "/orders", headers=headers, body="{}").status == 200
        [message] = target.received
    assert {each.header("authorization") for each in service.received} == {"Bearer t"}
    assert [each.value for each in message.header.source.fields if each.name == "x-auth-user"] == ["jo"]


def test_open_policy_agent_is_asked_in_its_own_words(gateway: Gateway, origin: Origin) -> None:
    """As its Data API has it: POST with an input, always answered 200, with what the policy says as the result."""

    def decide(request: Received) -> Reply:
        said = json.loads(request.body)["input"]
        allow = said["request"]["method"] == "GET" and said["request"]["path"] != "/secret"
        return Reply(body=json.dumps({"result": {"allow": allow}} if said["request"]["path"] != "/undefined" else {}))

    service = guard(gateway, decide, protocol="OPA", path="/v1/data/http/authz", requestHeaders=["x-kind"])
    assert gateway.get("/books?q=a", headers={"x-kind": "k", "x-other": "o"}).status == 200
    asked = service.last
    assert (asked.method, asked.target, asked.header("content-type")) == (
        "POST",
        "/v1/data/http/authz",
        "application/json",
    )
    assert json.loads(asked.body)["input"]["request"] == {
        "method": "GET",
        "scheme": "http",
        "host": "example.com",
        "path": "/books",
        "query": "q=a",
        "address": "127.0.0.1",
        "headers": {"x-kind": "k"},
    }
    for path in ("/secret", "/undefined"):
        assert gateway.get(path).reason == "authorization/external-refused"
    assert gateway.request("PUT", "/books").status == 403
    assert len(origin.received) == 1


def test_an_upstream_that_is_not_there_closes_the_route_and_is_told(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(
        policy("guarded", ROUTE, authorization=asking()), expect={("AuthPolicy", "guarded"): "UpstreamNotFound"}
    )
    assert list(gateway.problems("AuthPolicy", "guarded")) == ["spec.authorization.external.upstream"]
    assert gateway.get("/").status == 500
    gateway.upstream("guard")
    until(lambda: gateway.get("/").status == 200)
    assert len(origin.received) == 1


@pytest.mark.usefixtures("origin")
def test_an_upstream_that_can_not_be_asked_is_told(gateway: Gateway) -> None:
    gateway.upstream("guard", protocol="HTTP2")
    gateway.apply(policy("guarded", ROUTE, authorization=asking()), expect={("AuthPolicy", "guarded"): "Invalid"})
    assert "HTTP1" in gateway.problems("AuthPolicy", "guarded")["spec.authorization.external.upstream"]
    assert gateway.get("/").status == 500


def test_without_decision_service_nothing_passes_that_must_be_asked_about(gateway: Gateway, origin: Origin) -> None:
    gateway.upstream("guard")
    gateway.apply(
        route("books", rule(prefix("/closed"), to="books", name="closed"), rule(to="books", name="open")),
        policy("closed", on("Route", "books", "closed"), authorization=asking(), onFailure="Open"),
        policy("open", on("Route", "books", "open"), authorization=asking(onFailure="Open"), onFailure="Open"),
    )
    assert gateway.get("/closed").status == gateway.get("/open").status == 200
    gateway.stack.stop_decision_service()
    try:
        assert (gateway.get("/closed").status, gateway.get("/open").status) == (503, 200)
    finally:
        gateway.stack.start_decision_service()
    assert len(origin.received) == 3
