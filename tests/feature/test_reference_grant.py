"""References across namespaces need a ReferenceGrant there; it opens them, and its end closes them again."""

import pytest

from support.credentials import jwks, tls_data
from support.gateway import Gateway, until
from support.processes import free_port
from support.resources import (
    Document,
    config_map,
    edge,
    on,
    policy,
    proven_by,
    reference_grant,
    route,
    rule,
    secret,
    upstream,
)
from support.tokens import bearer


@pytest.fixture
def other(gateway: Gateway) -> str:
    return f"{gateway.namespace}-other"


def placed(document: Document, namespace: str) -> Document:
    return {**document, "metadata": {**document["metadata"], "namespace": namespace}}


def grant(gateway: Gateway, namespace: str, from_kind: str, to_kind: str) -> Document:
    return reference_grant("grant", namespace, from_kind=from_kind, from_namespace=gateway.namespace, to_kind=to_kind)


def test_an_upstream_elsewhere_is_reached_only_with_a_grant(gateway: Gateway, other: str) -> None:
    origin = gateway.origin("books")
    books = route("books", rule(upstreams=[{"name": "books", "namespace": other}]))
    gateway.apply(placed(upstream("books", origin.port), other))
    gateway.apply(books, expect={("Route", "books"): "RefNotPermitted"})
    assert gateway.get().status == 500
    assert "ReferenceGrant" in next(iter(gateway.problems("Route", "books").values()))
    gateway.apply(grant(gateway, other, "Route", "Upstream"), books)
    assert gateway.get().origin == "books"
    gateway.delete("ReferenceGrant", "grant", other)
    until(lambda: gateway.get().status, lambda status: status == 500)


def test_a_grant_is_for_the_kind_and_the_namespace_that_it_names(gateway: Gateway, other: str) -> None:
    origin = gateway.origin("books")
    books = route("books", rule(upstreams=[{"name": "books", "namespace": other}]))
    wrong_from = reference_grant("a", other, from_kind="Route", from_namespace="elsewhere", to_kind="Upstream")
    wrong_kind = reference_grant("b", other, from_kind="Shard", from_namespace=gateway.namespace, to_kind="Upstream")
    wrong_to = reference_grant("c", other, from_kind="Route", from_namespace=gateway.namespace, to_kind="Secret")
    wrong_place = reference_grant(
        "d", gateway.namespace, from_kind="Route", from_namespace=gateway.namespace, to_kind="Upstream"
    )
    gateway.apply(placed(upstream("books", origin.port), other), wrong_from, wrong_kind, wrong_to, wrong_place)
    gateway.apply(books, expect={("Route", "books"): "RefNotPermitted"})
    assert gateway.get().status == 500
    assert origin.received == []


def test_a_certificate_elsewhere_needs_a_grant(gateway: Gateway, other: str) -> None:
    port = free_port()
    tls = {"certificates": [{"name": "shop", "namespace": other}]}
    listeners = [
        {"name": "http", "port": gateway.port},
        {"name": "https", "port": port, "protocol": "HTTPS", "tls": tls},
    ]
    public = edge(gateway.port, listeners=listeners)
    gateway.apply(
        placed(secret("shop", tls_data("shop.example.com"), "kubernetes.io/tls"), other),
        public,
        route("hello", rule(says="hello")),
        expect={("Edge", "public"): "RefNotPermitted"},
    )
    assert gateway.get().body == "hello"
    gateway.apply(grant(gateway, other, "Edge", "Secret"), public)
    assert gateway.get(host="shop.example.com", port=port, server_name="shop.example.com").body == "hello"


def test_keys_elsewhere_need_a_grant_and_without_it_nobody_passes(gateway: Gateway, other: str) -> None:
    gateway.upstream("books")
    source = {"configMap": {"name": "keys", "key": "a", "namespace": other}}
    members = policy(
        "members",
        on("Route", "books"),
        authentication=proven_by({"name": "a", "jwt": {"issuer": "https://a", "jwks": source}}),
    )
    gateway.apply(
        placed(config_map("keys", {"a": jwks("a")}), other),
        route("books", rule(to="books")),
        members,
        expect={("AuthPolicy", "members"): "RefNotPermitted"},
    )
    until(lambda: gateway.get(headers=bearer("a")).status, lambda status: status == 500)
    gateway.apply(grant(gateway, other, "AuthPolicy", "ConfigMap"), members)
    until(lambda: gateway.get(headers=bearer("a")).status, lambda status: status == 200)
    assert gateway.get().status == 401
