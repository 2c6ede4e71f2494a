"""PROXY protocol, version 1 and 2, on both sides: who the client is, through a proxy that sees no HTTP.

One Edge sends to another as if that were its endpoint.
"""

import pytest

from support.gateway import Gateway, until
from support.processes import free_port
from support.resources import Document, Json, edge, prefix, resource, route, rule, upstream

CLIENT = "127.0.3.9"


def inner_edge(port: int, **trusted: Json) -> Document:
    listener = {"name": "http", "port": port, "proxyProtocol": True}
    return edge(port, name="inner", hosts=["inner.example.com"], listeners=[listener], trustedHops=trusted)


def inner(gateway: Gateway, port: int, trusted: str) -> None:
    gateway.upstream("books")
    gateway.apply(
        edge(gateway.port, hosts=["example.com"]),
        inner_edge(port, addresses=[trusted]),
        resource("Route", "inner", {"edges": [{"name": "inner"}], "rules": [rule(to="books")]}),
        route("outer", rule(to="inner", rewrite={"host": "inner.example.com"}), hosts="example.com"),
        upstream("inner", port),
    )


@pytest.mark.parametrize("version", ["V1", "V2"])
def test_the_client_is_known_behind_two_proxies(gateway: Gateway, version: str) -> None:
    port = free_port()
    inner(gateway, port, "127.0.0.0/8")
    gateway.apply(upstream("inner", port, proxyProtocol=version))
    with gateway.connect(source=CLIENT) as connection:
        answer = connection.request("GET", "/", host="example.com")
    assert answer.status == 200
    seen = gateway.origins["books"].last
    assert seen.header("x-forwarded-for") == CLIENT


def test_who_does_not_begin_so_or_is_not_trusted_is_sent_away(gateway: Gateway) -> None:
    port = free_port()
    inner(gateway, port, "127.0.0.0/8")
    assert gateway.get().status == 503, "it spoke HTTP at once"
    inner(gateway, port, "192.0.2.0/24")
    gateway.apply(upstream("inner", port, proxyProtocol="V2"))
    until(lambda: gateway.get().status, lambda status: status == 503)
    assert gateway.origins["books"].received == []


def test_no_client_names_its_tenant_behind_a_balancer_that_hands_on_what_it_sends(deciding_gateway: Gateway) -> None:
    gateway, port = deciding_gateway, free_port()
    inner(gateway, port, "127.0.0.0/8")
    own = rule(prefix("/own", tenants=["acme"]), says="acme's own")
    gateway.apply(
        upstream("inner", port, proxyProtocol="V2"),
        resource("Tenant", "acme", {}),
        resource("Route", "own", {"edges": [{"name": "inner"}], "rules": [own]}),
    )
    naming = inner_edge(port, addresses=["127.0.0.0/8"], tenantHeader="X-Tenant")
    gateway.apply(naming, expect={("Edge", "inner"): "Invalid"})
    assert "spec.trustedHops.tenantHeader" in gateway.problems("Edge", "inner")
    assert gateway.get("/own", headers={"x-tenant": "acme"}).origin == "books"
