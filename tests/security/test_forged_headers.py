"""Headers that only the gateway may write, sent by clients in every way: none steers anything, none arrives."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from fastforward_compiler.emit.envoy import edge as emit_edge

from security.deployment import HOST, NOTHING, Deployment, Pairs, deploying
from support import tokens
from support.credentials import jwks
from support.resources import Document, config_map, on, prefix, resource, route, rule

SCOPE = f"default/public|{HOST}"
FORGED: tuple[tuple[str, str], ...] = (
    ("x-ff-scope", "default/public|admin.example.com"),
    ("x-ff-table", "acme"),
    ("x-ff-select", "default/roles#rule-0"),
    ("x-ff-cluster", "default/admin"),
    ("x-ff-key", "AAAAAAAAAAAA"),
    ("x-ff-tenant", "acme"),
    ("x-ff-subject", "root"),
    ("x-ff-path", "/admin"),
    ("x-ff-listener", "internal"),
    ("x-ff-plan", "forged"),
    ("x-ff-address", "10.0.0.1"),
    ("x-ff-peer", "10.0.0.1"),
    ("x-ff-proof", "acme"),
    ("x-ff-reason", "none/none"),
    ("x-ff-anything", "1"),
    ("x-envoy-original-path", "/admin"),
    ("x-envoy-internal", "true"),
    ("x-envoy-auth-failure-mode-allowed", "true"),
    ("x-envoy-decorator-operation", "forged"),
    ("x-envoy-upstream-rq-timeout-ms", "1"),
    ("x-envoy-retry-on", "5xx"),
    ("x-envoy-external-address", "10.0.0.1"),
    ("x-forwarded-host", "admin.example.com"),
    ("x-forwarded-port", "4443"),
    ("x-forwarded-prefix", "/admin"),
    ("x-forwarded-client-cert", "By=root"),
    ("forwarded", "for=10.0.0.1;host=admin.example.com"),
    ("x-real-ip", "10.0.0.1"),
)
VALUES = {value for name, value in FORGED if value not in {"1", "true", "internal"}}


def documents(*, hop: bool = True) -> list[Document]:
    """A host whose tenant acme has an admin rule, and another host for admins; with a hop, a rule for a role too."""
    jwt = {"issuer": "https://main", "jwks": {"configMap": {"name": "keys", "key": "main"}}}
    provider = {"name": "main", "jwt": jwt, "tenants": ["acme"]}
    policy = {
        "targets": [on("Route", "shop"), *([on("Route", "roles")] if hop else [])],
        "authentication": {"mode": "Optional", "providers": [provider]},
    }
    return [
        config_map("keys", {"main": jwks("main")}),
        resource("Tenant", "acme", {}),
        resource("AuthPolicy", "callers", policy),
        route("shop", rule(prefix("/"), to="shop"), hosts=HOST),
        route("own", rule(prefix("/", tenants=["acme"]), to="admin"), hosts=HOST),
        *([route("roles", rule(prefix("/", roles=["root"]), to="admin"), hosts=HOST)] if hop else []),
        route("admins", rule(prefix("/"), says="denied"), hosts="admin.example.com"),
    ]


@pytest.fixture(scope="module", params=["hop", "native"])
def deployment(request: pytest.FixtureRequest) -> Generator[Deployment]:
    with deploying(*documents(hop=request.param == "hop"), origins=("shop", "admin")) as running:
        assert running.problems == ()
        yield running


def ways(name: str, value: str) -> dict[str, Pairs]:
    """How a client may send a header over HTTP/1.1."""
    return {
        "plain": [(name, value)],
        "upper": [(name.upper(), value)],
        "title": [(name.title(), value)],
        "twice": [(name, value), (name, value)],
        "underscores": [(name.replace("-", "_"), value)],
        "connection": [("connection", name), (name, value)],
        "connection-of-ours": [("connection", "close, x-ff-scope, x-ff-table"), (name, value)],
        "te": [("te", "trailers"), ("connection", f"te, {name}"), (name, value)],
    }


def attack(deployment: Deployment, name: str, value: str) -> list[str]:
    """What the forgery achieved, over both versions of HTTP, with and without a token; empty when nothing."""
    before = {origin: len(made.received) for origin, made in deployment.origins.items()}
    answers = [(way, deployment.get("/a", sent)) for way, sent in ways(name, value).items()]
    spelt = {"h2": name, "h2-underscores": name.replace("-", "_")}
    answers += [(way, deployment.get2("/a", [(spelling, value)])) for way, spelling in spelt.items()]
    achieved = [f"{way}: {answer.status} by {answer.origin}" for way, answer in answers if not harmless(answer)]
    for origin, made in deployment.origins.items():
        for request in made.received[before[origin] :]:
            arrived = [pair for pair in request.headers if pair[0].lower() == name or pair[1] in VALUES]
            achieved += [f"{origin} got {pair}" for pair in arrived if not written_by_proxy(pair)]
    return achieved


def harmless(answer: object) -> bool:
    """Whether it is what everybody gets, or a refusal of the request as malformed."""
    return answer == NOTHING or getattr(answer, "origin", None) == "shop" or getattr(answer, "status", 0) == 400


def written_by_proxy(pair: tuple[str, str]) -> bool:
    """What Envoy itself tells upstreams under such a name."""
    own = {"x-envoy-expected-rq-timeout-ms", "x-envoy-attempt-count"}
    return pair[0].lower() in own or pair == ("x-envoy-external-address", "127.0.0.1")


@pytest.mark.parametrize(("name", "value"), FORGED)
def test_a_forged_header_neither_steers_nor_arrives(deployment: Deployment, name: str, value: str) -> None:
    assert attack(deployment, name, value) == []


def test_the_check_sees_a_build_that_lets_forged_headers_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emit_edge, "_FORGEABLE", ())
    monkeypatch.setattr(emit_edge, "_FORWARDED", ())
    with deploying(*documents(), origins=("shop", "admin")) as broken:
        seen = {name for name, value in FORGED if attack(broken, name, value)}
    assert {"x-ff-anything", "x-ff-plan", "x-forwarded-host", "forwarded", "x-real-ip"} <= seen


def test_a_header_in_capitals_is_no_http2(deployment: Deployment) -> None:
    before = deployment.received
    assert deployment.get2("/a", [("X-FF-Tenant", "acme")]) == NOTHING
    assert deployment.received == before


def test_all_forgeries_at_once_with_a_token_leave_the_caller_who_the_token_says(deployment: Deployment) -> None:
    proof = list(tokens.bearer("main", tenant="acme", roles=["reader"]).items())
    assert deployment.get("/a", [*FORGED, *proof]).origin == "admin"
    arrived = deployment.origins["admin"].last
    assert (arrived.values("x-ff-tenant"), arrived.values("x-ff-subject")) == (["acme"], ["user-of-main"])
    assert deployment.judge("/a", [*FORGED, *proof]).decision.tenant == "acme"


@pytest.mark.parametrize(("name", "value"), FORGED)
def test_the_evaluator_is_not_moved_either(deployment: Deployment, name: str, value: str) -> None:
    judged = deployment.judge("/a", [(name, value)])
    assert (judged.decision.route, judged.decision.tenant) == ("default/shop", "")
    assert judged.decision.identity is not None
    assert judged.decision.identity.subject == ""
    assert not {known for known in judged.upstream_view()["headers"] if known.startswith("x-ff-")}


@pytest.mark.parametrize("hops", [0, 1])
def test_forwarded_addresses_count_only_from_a_trusted_hop(hops: int) -> None:
    spec = {"trustedHops": {"count": 1}} if hops else {}
    policy = {"denyAddresses": ["10.0.0.0/8"]}
    documents_ = [route("shop", rule(prefix("/"), to="shop"), admission=policy)]
    with deploying(*documents_, origins=("shop",), edge_spec=spec) as running:
        refused = [running.get("/", [("x-forwarded-for", "10.0.0.1")]).status, running.get("/").status]
        assert refused == ([403, 200] if hops else [200, 200])
        chain = [("x-forwarded-for", "10.0.0.1, 192.0.2.1"), ("x-forwarded-proto", "https")]
        assert running.get("/", chain).status == 200
        arrived = running.origins["shop"].last
        assert arrived.header("x-forwarded-proto") == ("https" if hops else "http")
        assert ("10.0.0.1" in (arrived.header("x-forwarded-for") or "")) is bool(hops)
