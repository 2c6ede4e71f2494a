"""A listener of a Gateway without a certificate, or without a route, keeps its port: pods are not replaced for it."""

from __future__ import annotations

from fastforward_compiler.emit.kubernetes import PodSettings, emit_edge

from support import gatewayapi
from support.credentials import tls_data
from support.gatewayapi import foreign, listener, pods, rule, tls_listener
from support.resources import Document, secret

from .conftest import Bench

PODS = PodSettings(namespace="fastforward-system", envoy_image="envoy:1", decision_image="decision:1")
CERTIFICATE = secret("secure", tls_data("example.com"), "kubernetes.io/tls")
SECURE = gatewayapi.gateway(listener(80), tls_listener(443, "secure"))
STREAM: Document = listener(5432, "stream", protocol="TCP")


def made(bench: Bench) -> list[Document]:
    (edge,) = bench.compiler.snapshot().edges
    return emit_edge(edge, PODS)


def listening(bench: Bench) -> list[int]:
    (edge,) = bench.compiler.snapshot().edges
    return [each.port for each in edge.listeners]


def test_a_certificate_that_goes_and_comes_back_leaves_pods_and_service_as_they_are(bench: Bench) -> None:
    route = gatewayapi.http_route("books", rule(to="up"), hosts=("example.com",))
    only = gatewayapi.http_route("only", rule(to="up"), parents=(gatewayapi.parent(sectionName="https"),))
    bench.apply(gatewayapi.gateway_class(), SECURE, CERTIFICATE, *pods("up", 8080), route, only)
    before = made(bench)
    assert listening(bench) == [80, 443]
    bench.delete("Secret", "secure")
    assert listening(bench) == [80]
    assert made(bench) == before
    assert {each.scope.partition("|")[0] for each in bench.compiler.snapshot().tables} == {"default/public~gateway@80"}
    parts = {dict(part.place)["name"]: part for part in bench.report("Gateway", "public").parts}
    assert (parts["http"].serves, parts["https"].serves) == (True, False)
    (said,) = (verdict for verdict in parts["https"].verdicts if verdict.type == "ResolvedRefs")
    assert (said.holds, said.reason) == (False, "InvalidCertificateRef")
    assert [part.serves for name in ("books", "only") for part in bench.report("HTTPRoute", name).parts] == [
        True,
        False,
    ]
    assert bench.report("HTTPRoute", "books").verdicts == ()
    (lost,) = bench.report("HTTPRoute", "only").verdicts
    assert (lost.type, lost.holds, lost.reason) == ("Programmed", False, "ListenersNotResolved")
    bench.apply(CERTIFICATE)
    assert bench.report("HTTPRoute", "only").verdicts == ()
    assert (listening(bench), made(bench)) == ([80, 443], before)


def test_the_first_route_of_a_listener_for_connections_replaces_no_pods(bench: Bench) -> None:
    bench.apply(gatewayapi.gateway_class(), gatewayapi.gateway(listener(80), STREAM), *pods("up", 8080))
    before = made(bench)
    assert listening(bench) == [80]
    rules = [{"backendRefs": [{"name": "up", "port": 80}]}]
    bench.apply(
        foreign("TCPRoute", "data", {"parentRefs": [{"name": "public", "sectionName": "stream"}], "rules": rules})
    )
    assert (listening(bench), made(bench)) == ([80, 5432], before)


def test_a_listener_that_may_not_be_holds_no_port(bench: Bench) -> None:
    bench.apply(gatewayapi.gateway_class(), gatewayapi.gateway(listener(80), listener(443, "odd", protocol="X")))
    (edge,) = bench.compiler.snapshot().edges
    assert (edge.listeners[0].port, edge.held_ports) == (80, ())


def team_set(port: int, name: str = "extra") -> Document:
    """A ListenerSet of another namespace, for the Gateway `public`."""
    spec = {"parentRef": {"name": "public", "namespace": "default"}, "listeners": [listener(port)]}
    return foreign("ListenerSet", name, spec, namespace="team")


def test_a_set_that_is_refused_takes_no_port_of_another_gateway(bench: Bench) -> None:
    old = gatewayapi.gateway(listener(80))
    later = gatewayapi.gateway(listener(9090), name="zzz")
    bench.apply(gatewayapi.gateway_class(), old, later, team_set(9090))
    assert bench.reasons("Gateway", "zzz") == []
    assert sorted(each.port for edge in bench.compiler.snapshot().edges for each in edge.listeners) == [80, 9090]
    # The Gateway itself takes the set: it is older, so the port is its own, and no more once it does not.
    open_to_all = gatewayapi.gateway(listener(80), allowedListeners={"namespaces": {"from": "All"}})
    bench.apply(open_to_all)
    (said, *_) = bench.report("Gateway", "zzz").problems
    assert "None of its listeners" in said.message
    bench.apply(old)
    assert bench.reasons("Gateway", "zzz") == []


def test_a_set_is_refused_as_soon_as_its_namespace_has_the_label_no_more(bench: Bench) -> None:
    labelled = {"namespaces": {"from": "Selector", "selector": {"matchLabels": {"tier": "front"}}}}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team", "labels": {"tier": "front"}}}
    later = gatewayapi.gateway(listener(9090), name="zzz")
    bench.apply(gatewayapi.gateway_class(), gatewayapi.gateway(listener(80), allowedListeners=labelled), later)
    bench.apply(team_set(9090), namespace)
    assert bench.reasons("Gateway", "zzz") != []
    bench.apply({**namespace, "metadata": {"name": "team"}})
    assert bench.reasons("Gateway", "zzz") == []
