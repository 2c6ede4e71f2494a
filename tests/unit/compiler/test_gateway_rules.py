"""Rules of routes of Gateway API in entries: where they lead, what they are called, which paths they may have."""

from __future__ import annotations

import pytest
from fastforward_compiler.problem import Reason

from support import gatewayapi
from support.credentials import tls_data
from support.gatewayapi import at, backend, foreign, listener, parent, path, pods, rule
from support.resources import Document, issuers, policy, proven_by, secret, tokens_of

from .conftest import Bench

PLACE = "default/public~gateway@80"
WORLD = (gatewayapi.gateway_class(), gatewayapi.gateway(listener(80)), *pods("up", 8080))
SIGNS = "A path holds letters, digits, %XX and -/._~!$&'()*+,;=:@ alone"
MIRROR = {"type": "RequestMirror", "requestMirror": {"backendRef": backend("shadow")}}


def grpc_route(name: str, *rules: Document) -> Document:
    return foreign("GRPCRoute", name, {"parentRefs": [parent()], "rules": list(rules)})


def test_whoever_gets_copies_is_there_for_a_gateway_with_a_certificate(bench: Bench) -> None:
    shows = {"backend": {"clientCertificateRef": {"name": "client"}}}
    bench.apply(
        *WORLD,
        *pods("shadow", 8081),
        gatewayapi.gateway(listener(80), tls=shows),
        secret("client", tls_data("client.example.com"), "kubernetes.io/tls"),
        gatewayapi.http_route("http", rule(to="up", filters=(MIRROR,)), hosts=("example.com",)),
        grpc_route("grpc", {"backendRefs": [backend("up")], "filters": [MIRROR]}),
    )
    snapshot = bench.compiler.snapshot()
    there = {each.name for each in snapshot.upstreams}
    for host, manner in (("example.com", ""), ("*", "/grpc")):
        (entry, *_) = bench.entries(host, edge=PLACE)
        client = "~default/public"
        assert entry.upstreams == (f"default/up:80{manner}{client}", f"default/shadow:80{manner}{client}")
        assert set(entry.upstreams) <= there


def test_a_rule_without_a_name_is_called_as_no_other_is(bench: Bench) -> None:
    methods = [{"service": "books.Books", "method": name} for name in ("List", "Get")]
    calls = [{"matches": [{"method": method}], "backendRefs": [backend("up")]} for method in methods]
    targets = [at(kind, name, "rule-1") for kind, name in (("HTTPRoute", "http"), ("GRPCRoute", "grpc"))]
    bench.apply(
        *WORLD,
        issuers("a"),
        policy("callers", *targets, authentication=proven_by(tokens_of("a"))),
        gatewayapi.http_route(
            "http", rule(path("/a"), to="up", name="rule-1"), rule(path("/b"), to="up"), hosts=("example.com",)
        ),
        grpc_route("grpc", {**calls[0], "name": "rule-1"}, calls[1]),
    )
    for host in ("example.com", "*"):
        found = {entry.rule: (bool(entry.auth), entry.id) for entry in bench.entries(host, edge=PLACE)}
        assert {name: guarded for name, (guarded, _) in found.items()} == {"rule-1": True, "rule-1-unnamed": False}
        assert len({name for _, name in found.values()}) == 2
    assert bench.report("AuthPolicy", "callers").problems == ()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("relative", "A path starts with /"),
        ("/a//b", "A path holds no //"),
        ("/a/./b", "A path holds no /./"),
        ("/a/../b", "A path holds no /../"),
        ("/a%2fb", "A path holds no %2f"),
        ("/a%2Fb", "A path holds no %2F"),
        ("/a/.", "A path ends with neither /. nor /.."),
        ("/a/..", "A path ends with neither /. nor /.."),
        *((f"/a{sign}b", SIGNS) for sign in '#?%"<>\\^`{|}'),
        ("/a%2", SIGNS),
    ],
)
@pytest.mark.parametrize("kind", ["Exact", "PathPrefix"])
def test_a_path_that_no_api_server_would_take_is_left_out_and_told(
    bench: Bench, kind: str, value: str, message: str
) -> None:
    matches = (path(value, kind), path("/fine", kind))
    bench.apply(*WORLD, gatewayapi.http_route("http", rule(*matches, to="up"), hosts=("example.com",)))
    (found,) = bench.report("HTTPRoute", "http").problems
    assert (found.reason, found.field) == (Reason.UNSUPPORTED_VALUE, "spec.rules[0].matches[0].path.value")
    assert found.message == f"{message}, so this match is left out."
    assert [entry.match.path for entry in bench.entries(edge=PLACE)] == ["/fine"]


@pytest.mark.parametrize("value", ["/", "/a/", "/a%20b", "/-._~!$&'()*+,;=:@", "/a.", "/.a/..b"])
def test_any_other_path_is_taken(bench: Bench, value: str) -> None:
    bench.apply(*WORLD, gatewayapi.http_route("http", rule(path(value, "Exact"), to="up"), hosts=("example.com",)))
    assert [entry.match.path for entry in bench.entries(edge=PLACE)] == [value]
    assert bench.report("HTTPRoute", "http").problems == ()
