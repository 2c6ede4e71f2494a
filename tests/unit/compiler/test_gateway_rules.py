"""Rules of routes of Gateway API in entries: where they lead, what they are called."""

from __future__ import annotations

from support import gatewayapi
from support.credentials import tls_data
from support.gatewayapi import at, backend, foreign, listener, parent, path, pods, rule
from support.resources import Document, issuers, policy, proven_by, secret, tokens_of

from .conftest import Bench

PLACE = "default/public~gateway@80"
WORLD = (gatewayapi.gateway_class(), gatewayapi.gateway(listener(80)), *pods("up", 8080))
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
