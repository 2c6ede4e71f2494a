"""Rules of routes of Gateway API in entries: where they lead."""

from __future__ import annotations

from support import gatewayapi
from support.credentials import tls_data
from support.gatewayapi import backend, foreign, listener, parent, pods, rule
from support.resources import Document, secret

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
