"""What a Traefik in front of an Edge is told: few routers, whatever they lead to, and nothing that it need not know."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fastforward_compiler import ir
from fastforward_compiler.emit.kubernetes import PodSettings, emit_edge

PODS = PodSettings(namespace="fastforward-system", envoy_image="envoy:1", decision_image="decision:1")
KEY = "the key"
CERTIFICATE = ir.Certificate(name="shop/api", hosts=("api.example.com",), chain=b"", key=KEY.encode())
FRONT = ir.Traefik(
    addresses=("10.8.0.0/16",),
    hosts=(("rest.api.example.com", "rest"), ("grpc.api.example.com", "grpc"), ("*.a-b.example.org", "")),
)
EDGE = ir.Edge(
    name="shop/public",
    hosts=("api.example.com",),
    listeners=(
        ir.Listener(name="http", port=80),
        ir.Listener(name="https", port=443, certificates=(CERTIFICATE,), proxy_protocol=True),
    ),
    traefik=FRONT,
)


def told(edge: ir.Edge) -> dict[str, dict[str, object]]:
    documents = [each for each in emit_edge(edge, PODS) if each["apiVersion"] == "traefik.io/v1alpha1"]
    assert KEY not in str(documents)
    return {document["kind"]: document["spec"] for document in documents}


def test_each_host_has_one_router_for_requests_and_one_for_connections() -> None:
    spec = told(EDGE)
    routing, passing = spec["IngressRoute"], spec["IngressRouteTCP"]
    assert [(each["match"], each["services"][0]["scheme"]) for each in _routes(routing)] == [
        ("Host(`rest.api.example.com`)", "http"),
        ("Host(`grpc.api.example.com`)", "h2c"),
        (r"HostRegexp(`^.+\.a\-b\.example\.org$`)", "http"),
    ]
    assert [each["match"] for each in _routes(passing)] == [
        "HostSNI(`rest.api.example.com`)",
        "HostSNI(`grpc.api.example.com`)",
        r"HostSNIRegexp(`^.+\.a\-b\.example\.org$`)",
    ]
    assert (routing["entryPoints"], passing["entryPoints"]) == (["web"], ["websecure"])
    assert passing["tls"] == {"passthrough": True}
    assert spec["ServersTransportTCP"] == {"proxyProtocol": {"version": 2}}


@pytest.mark.parametrize("kind", ["IngressRoute", "IngressRouteTCP"])
def test_a_host_is_looked_at_before_the_wildcards_that_it_is_in(kind: str) -> None:
    """By the order of Traefik, the highest priority first; and before what an Ingress for any host says."""
    hosts = ("a.b.example.org", "*.b.example.org", "*.example.org", "*.org", "a.io", "*")
    front = replace(FRONT, hosts=tuple((host, "") for host in hosts))
    routes = _routes(told(replace(EDGE, traefik=front))[kind])
    first, *wildcards, short, everything = [each["priority"] for each in routes]
    assert [first, *wildcards] == sorted({first, *wildcards}, reverse=True)
    assert short > everything > len("PathPrefix(`/`)")
    # Who has a path of one of these hosts in a router of his own keeps it.
    assert first < len("Host(`a.b.example.org`) && Path(`/`)")


def test_every_router_for_requests_drops_what_clients_forge() -> None:
    spec = told(EDGE)
    assert all(each["middlewares"] for each in _routes(spec["IngressRoute"]))
    headers = spec["Middleware"]["headers"]
    assert isinstance(headers, dict)
    assert headers["customRequestHeaders"]["Forwarded"] == ""


def test_a_traefik_that_ends_tls_does_so_with_certificates_of_its_own() -> None:
    front = replace(FRONT, terminates=True, hosts=(("*", ""),))
    spec = told(replace(EDGE, traefik=front, listeners=EDGE.listeners[:1]))
    routing = spec["IngressRoute"]
    assert (routing["entryPoints"], routing["tls"]) == (["websecure"], {})
    assert [each["match"] for each in _routes(routing)] == ["HostRegexp(`^.+$`)"]
    assert spec.keys() == {"IngressRoute", "Middleware"}


@pytest.mark.parametrize("traefik", [None, replace(FRONT, hosts=())], ids=["no front", "no host"])
def test_without_anything_to_hand_on_it_is_told_nothing(traefik: ir.Traefik | None) -> None:
    assert told(replace(EDGE, traefik=traefik)) == {}


def _routes(spec: dict[str, object]) -> list[dict[str, Any]]:
    routes = spec["routes"]
    assert isinstance(routes, list)
    return routes
