"""Every request leaves one line of JSON: who asked for what, which objects decided, and why it was refused."""

import json

import pytest

from support.credentials import jwks
from support.gateway import Gateway
from support.origin import Reply
from support.resources import Document, config_map, edge, on, prefix, resource, route, rule
from support.tokens import bearer


@pytest.fixture
def guarded(gateway: Gateway) -> Gateway:
    """A Route with a policy of every kind that the proxy enforces by itself."""
    gateway.upstream("books", lambda _: Reply(body="hello"))
    jwt = {"issuer": "https://a", "jwks": {"configMap": {"name": "keys", "key": "a"}}}
    members: Document = {
        "targets": [on("Route", "books", "members")],
        "authentication": {"providers": [{"name": "token", "jwt": jwt, "tenants": ["acme"]}]},
        "authorization": {"grants": [{"name": "admins", "roles": ["admin"]}]},
    }
    limit = {"targets": [on("Route", "books", "limited")], "budget": {"requests": 1, "window": "1h"}}
    gateway.apply(
        config_map("keys", {"a": jwks("a")}),
        resource("Tenant", "acme", {}),
        route(
            "books",
            rule(prefix("/open"), to="books", name="open"),
            rule(prefix("/members"), to="books", name="members"),
            rule(prefix("/limited"), to="books", name="limited"),
            admission={"denyAddresses": ["127.0.0.9"], "maxBodyBytes": 10, "contentTypes": ["application/json"]},
        ),
        resource("AuthPolicy", "members", members),
        resource("RateLimit", "limit", limit),
    )
    return gateway


def test_a_line_names_request_route_rule_upstream_and_policies(guarded: Gateway) -> None:
    line = guarded.log_line(guarded.get("/members/x?q=1", headers=bearer("a", tenant="acme", roles=["admin"])))
    namespace = guarded.namespace
    expected = {
        "method": "GET",
        "host": "example.com",
        "path": "/members/x?q=1",
        "protocol": "HTTP/1.1",
        "status": 200,
        "edge": f"{namespace}/public",
        "listener": "http",
        "route": f"{namespace}/books",
        "rule": "members",
        "upstream": f"{namespace}/books",
        "endpoint": f"127.0.0.1:{guarded.origins['books'].port}",
        "policies": [f"AuthPolicy {namespace}/members"],
        "tenant": "acme",
        "address": "127.0.0.1",
        "attempts": 1,
        "sent": 5,
        "refusal": None,
    }
    assert {name: line[name] for name in expected} == expected


def test_policies_of_both_kinds_are_named(guarded: Gateway) -> None:
    line = guarded.log_line(guarded.get("/limited"))
    assert line["policies"] == [f"RateLimit {guarded.namespace}/limit"]


def test_every_kind_of_refusal_says_its_stage_and_reason(guarded: Gateway) -> None:
    guarded.get("/limited")
    cases = {
        "routing/no-route": guarded.get("/none"),
        "authentication/token-missing": guarded.get("/members"),
        "authentication/token-invalid": guarded.get("/members", headers={"authorization": "Bearer x.y.z"}),
        "authentication/tenant-not-allowed": guarded.get(
            "/members", headers=bearer("a", tenant="evil", roles=["admin"])
        ),
        "authorization/not-granted": guarded.get("/members", headers=bearer("a", tenant="acme", roles=["reader"])),
        "ratelimit/exceeded": guarded.get("/limited"),
        "admission/body-too-large": guarded.request("POST", "/open", body="x" * 11),
        "admission/content-type": guarded.request("POST", "/open", body="{}", headers={"content-type": "text/plain"}),
        "ingress/malformed-request": guarded.get("/open", headers={"x_y": "1"}),
    }
    with guarded.connect(source="127.0.0.9") as connection:
        cases["admission/address-denied"] = connection.request("GET", "/open", host="example.com")
    statuses = {reason: answer.status for reason, answer in cases.items()}
    assert statuses == {
        "routing/no-route": 404,
        "authentication/token-missing": 401,
        "authentication/token-invalid": 401,
        "authentication/tenant-not-allowed": 403,
        "authorization/not-granted": 403,
        "ratelimit/exceeded": 429,
        "admission/body-too-large": 413,
        "admission/content-type": 415,
        "ingress/malformed-request": 400,
        "admission/address-denied": 403,
    }
    for reason, answer in cases.items():
        assert answer.reason == reason
        stage, _, short = reason.partition("/")
        assert answer.header("content-type") == "application/problem+json"
        assert (answer.json["stage"], answer.json["reason"], answer.json["status"]) == (stage, short, answer.status)
        if reason != "ingress/malformed-request":
            assert answer.json["requestId"] == answer.header("x-request-id")
            line = guarded.log_line(answer)
            assert (line["refusal"], line["status"]) == (reason, answer.status)


@pytest.mark.parametrize("awkward", ['a"b\\c', "{}", "%REQ(x)%", "caf\u00e9", "<script>"])
def test_what_clients_send_breaks_no_line(guarded: Gateway, awkward: str) -> None:
    answer = guarded.get("/open", headers={"user-agent": awkward})
    line = guarded.log_line(answer)
    assert isinstance(line["userAgent"], str)
    assert json.loads(json.dumps(line)) == line
    if awkward.isascii():
        assert line["userAgent"] == awkward


def test_a_shadowed_refusal_is_told_though_the_request_passes(gateway: Gateway) -> None:
    gateway.upstream("books")
    jwt = {"issuer": "https://a", "jwks": {"configMap": {"name": "keys", "key": "a"}}}
    policy: Document = {
        "targets": [on("Edge", "public")],
        "shadow": True,
        "authentication": {"providers": [{"name": "token", "jwt": jwt, "tenants": ["*"]}]},
        "authorization": {"grants": [{"name": "admins", "roles": ["admin"]}]},
    }
    gateway.apply(
        edge(gateway.port),
        config_map("keys", {"a": jwks("a")}),
        route("books", rule(to="books")),
        resource("AuthPolicy", "shadow", policy),
    )
    refused = gateway.get(headers=bearer("a", roles=["reader"]))
    assert refused.status == 200
    assert f"{gateway.namespace}/shadow" in gateway.log_line(refused)["shadow"]
    assert gateway.log_line(gateway.get(headers=bearer("a", roles=["admin"])))["shadow"] is None
