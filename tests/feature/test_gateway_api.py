"""Gateway API: Gateways and HTTPRoutes from files serve as Edges and Routes do."""

from __future__ import annotations

import pytest

from support.credentials import tls_data
from support.gateway import Gateway, until
from support.gatewayapi import backend, gateway_class, http_route, listener, parent, path, pods, rule, tls_listener
from support.gatewayapi import gateway as gateway_of
from support.resources import Document, reference_grant, secret


@pytest.fixture
def ports(gateway: Gateway) -> dict[str, int]:
    """Three origins behind Services of their names."""
    made = {name: gateway.origin(name).port for name in ("one", "two", "three")}
    gateway.apply(
        gateway_class(), gateway_of(listener(gateway.port)), *(each for n, p in made.items() for each in pods(n, p))
    )
    return made


@pytest.mark.usefixtures("ports")
def test_an_http_route_leads_to_a_service(gateway: Gateway) -> None:
    gateway.apply(http_route("books", rule(to="one"), hosts=("example.com",)))
    assert gateway.get().origin == "one"
    assert gateway.get(host="other.example.com").status == 404


@pytest.mark.usefixtures("ports")
def test_the_most_specific_match_wins_across_routes_and_among_equals_the_older(gateway: Gateway) -> None:
    old, new = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"
    gateway.apply(
        http_route("a", rule(path("/"), to="one"), rule(path("/books/"), to="two"), creationTimestamp=new),
        http_route(
            "b", rule(path("/books", "Exact"), to="three"), rule(path("/books"), to="one"), creationTimestamp=old
        ),
        http_route("c", rule(path("/", headers=[{"name": "X-Who", "value": "me"}]), to="three")),
        http_route(
            "d",
            rule(path("/", method="PUT"), to="two"),
            rule(path("/", queryParams=[{"name": "q", "value": "1"}]), to="three"),
        ),
    )
    asked = {target: gateway.get(target).origin for target in ("/", "/books", "/books/1", "/bookshop", "/?q=1")}
    assert asked == {"/": "one", "/books": "three", "/books/1": "one", "/bookshop": "one", "/?q=1": "three"}
    assert gateway.get("/", headers=(("x-who", "me"),)).origin == "three"
    assert gateway.request("PUT", "/", headers=(("x-who", "me"),)).origin == "two"


@pytest.mark.usefixtures("ports")
def test_rules_of_a_wider_host_follow_those_of_a_narrower_one(gateway: Gateway) -> None:
    gateway.apply(
        http_route("narrow", rule(path("/narrow"), to="one"), hosts=("a.example.com",)),
        http_route(
            "wide", rule(path("/narrow/deep"), to="two"), rule(path("/wide"), to="two"), hosts=("*.example.com",)
        ),
        http_route("any", rule(path("/any"), to="three")),
    )
    asked = {target: gateway.get(target, host="a.example.com").origin for target in ("/narrow/deep", "/wide", "/any")}
    assert asked == {"/narrow/deep": "one", "/wide": "two", "/any": "three"}
    assert gateway.get("/narrow", host="b.example.com").status == 404
    for host in ("b.example.org", "[::1]", "[2001:db8::1]:8080", "a!b.example.com"):
        assert gateway.get("/any", host=host).origin == "three", host


def test_listeners_of_one_port_are_apart_by_host(gateway: Gateway) -> None:
    one, two = gateway.origin("one"), gateway.origin("two")
    listeners = (
        listener(gateway.port, "any"),
        listener(gateway.port, "wide", hostname="*.example.com"),
        listener(gateway.port, "exact", hostname="a.example.com"),
    )
    gateway.apply(
        gateway_class(),
        gateway_of(*listeners),
        *pods("one", one.port),
        *pods("two", two.port),
        http_route("any", rule(path("/any"), to="one"), parents=(parent(sectionName="any"),)),
        http_route("wide", rule(path("/wide"), to="two"), parents=(parent(sectionName="wide"),)),
    )
    served = {
        (host, target): gateway.get(target, host=host).status
        for host in ("example.org", "b.example.com", "a.example.com")
        for target in ("/any", "/wide")
    }
    assert {key for key, status in served.items() if status == 200} == {
        ("example.org", "/any"),
        ("b.example.com", "/wide"),
    }
    assert set(served.values()) == {200, 404}


def test_a_listener_over_tls_serves_its_own_hosts_and_tells_who_is_misdirected(gateway: Gateway) -> None:
    one = gateway.origin("one")
    gateway.apply(
        gateway_class(),
        secret("any", tls_data("*.example.com", "example.org"), "kubernetes.io/tls"),
        gateway_of(
            tls_listener(gateway.port, "any", name="wide", hostname="*.example.com"),
            tls_listener(gateway.port, "any", name="org", hostname="example.org"),
        ),
        *pods("one", one.port),
        http_route("books", rule(to="one")),
    )
    assert gateway.get(host="a.example.com", server_name="a.example.com").origin == "one"
    assert gateway.get(host="example.org", server_name="example.org").origin == "one"
    assert gateway.get(host="example.org", server_name="a.example.com").status == 421


@pytest.mark.usefixtures("ports")
def test_the_share_of_a_backend_that_is_not_there_is_500(gateway: Gateway) -> None:
    rules = (
        rule(path("/lost"), backendRefs=[backend("lost"), backend("one", weight=0)]),
        rule(path("/half"), backendRefs=[backend("lost"), backend("one")]),
        rule(path("/none")),
    )
    gateway.apply(http_route("books", *rules), expect={("HTTPRoute", "books"): "BackendNotFound"})
    assert [gateway.get(target).status for target in ("/lost", "/none")] == [500, 500]
    seen = [gateway.get("/half").status for _ in range(100)]
    assert 25 < seen.count(200) < 75
    assert set(seen) == {200, 500}


def test_a_backend_of_another_namespace_needs_a_grant(gateway: Gateway) -> None:
    one, other = gateway.origin("one"), f"{gateway.namespace}-other"
    gateway.apply(
        gateway_class(),
        gateway_of(listener(gateway.port)),
        *pods("one", one.port, namespace=other),
        http_route("books", rule(backendRefs=[backend("one", namespace=other)])),
        expect={("HTTPRoute", "books"): "RefNotPermitted"},
    )
    assert gateway.get().status == 500
    grant = reference_grant("grant", other, from_kind="HTTPRoute", from_namespace=gateway.namespace, to_kind="Service")
    grant["spec"]["from"][0]["group"] = "gateway.networking.k8s.io"
    gateway.apply(grant)
    until(lambda: gateway.get().origin, lambda name: name == "one")


FILTERED: tuple[tuple[Document, str, int, str], ...] = (
    ({"hostname": "a.example.org"}, "/x?q=1", 302, "http://a.example.org:{port}/x?q=1"),
    ({"scheme": "https"}, "/x", 302, "https://example.com/x"),
    ({"scheme": "https", "port": 8443, "statusCode": 301}, "/x", 301, "https://example.com:8443/x"),
    ({"port": 80}, "/x", 302, "http://example.com/x"),
    (
        {"path": {"type": "ReplaceFullPath", "replaceFullPath": "/y"}},
        "/x/z?q=1",
        302,
        "http://example.com:{port}/y?q=1",
    ),
    (
        {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/y"}},
        "/x/z?q=1",
        302,
        "http://example.com:{port}/y/z?q=1",
    ),
    ({"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}, "/x/z", 302, "http://example.com:{port}/z"),
    ({"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": ""}}, "/x", 302, "http://example.com:{port}/"),
)


@pytest.mark.parametrize(("redirect", "target", "status", "location"), FILTERED)
def test_a_redirect_says_where_in_full(
    gateway: Gateway, redirect: Document, target: str, status: int, location: str
) -> None:
    filters = ({"type": "RequestRedirect", "requestRedirect": redirect},)
    gateway.apply(
        gateway_class(), gateway_of(listener(gateway.port)), http_route("books", rule(path("/x"), filters=filters))
    )
    answer = gateway.get(target)
    assert (answer.status, answer.header("location")) == (status, location.format(port=gateway.port))


def test_headers_change_for_a_rule_and_for_one_backend_alone(gateway: Gateway, ports: dict[str, int]) -> None:
    del ports
    both = {
        "set": [{"name": "X-Set", "value": "rule"}],
        "add": [{"name": "X-Add", "value": "rule"}],
        "remove": ["x-gone"],
    }
    alone = {"add": [{"name": "x-add", "value": "backend"}]}
    filters = (
        {"type": "RequestHeaderModifier", "requestHeaderModifier": both},
        {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [{"name": "x-answer", "value": "rule"}]}},
    )
    own = [{"type": "RequestHeaderModifier", "requestHeaderModifier": alone}]
    gateway.apply(http_route("books", rule(backendRefs=[backend("one", filters=own)], filters=filters)))
    answer = gateway.get(headers=(("x-gone", "1"), ("x-set", "mine")))
    assert answer.header("x-answer") == "rule"
    (received,) = gateway.origins["one"].received
    assert {name: value for name, value in received.headers if name == "x-set"} == {"x-set": "rule"}
    assert [value for name, value in received.headers if name == "x-add"] == ["backend", "rule"]
    assert received.header("x-gone") is None


def test_a_rewrite_changes_host_and_path(gateway: Gateway, ports: dict[str, int]) -> None:
    del ports

    def rewrite(**fields: Document | str) -> tuple[Document]:
        return ({"type": "URLRewrite", "urlRewrite": fields},)

    gateway.apply(
        http_route(
            "books",
            rule(
                path("/prefix"),
                to="one",
                filters=rewrite(path={"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}),
            ),
            rule(
                path("/full"), to="one", filters=rewrite(path={"type": "ReplaceFullPath", "replaceFullPath": "/whole"})
            ),
            rule(path("/host"), to="one", filters=rewrite(hostname="inner.example.com")),
        )
    )
    for target in ("/prefix/a?q=1", "/prefix", "/full/a", "/host/a"):
        assert gateway.get(target).status == 200
    seen = [(each.target, each.header("host")) for each in gateway.origins["one"].received]
    assert seen == [
        ("/a?q=1", "example.com"),
        ("/", "example.com"),
        ("/whole", "example.com"),
        ("/host/a", "inner.example.com"),
    ]


def test_mirrors_get_copies_and_answer_nobody(gateway: Gateway, ports: dict[str, int]) -> None:
    del ports
    mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": backend("two")}}
    never = {"type": "RequestMirror", "requestMirror": {"backendRef": backend("three"), "percent": 0}}
    gateway.apply(http_route("books", rule(to="one", filters=(mirror, never))))
    assert {gateway.get().origin for _ in range(20)} == {"one"}
    until(lambda: len(gateway.origins["two"].received), lambda count: count == 20)
    assert gateway.origins["two"].received[0].header("host") == "example.com"
    assert gateway.origins["three"].received == []


def test_a_gateway_of_another_class_is_none_of_ours(gateway: Gateway) -> None:
    other = gateway_of(listener(gateway.port), name="other")
    other["spec"]["gatewayClassName"] = "other"
    gateway.write(other)
    gateway.apply(gateway_class(), gateway_of(listener(gateway.port)))
    assert gateway.object("Gateway", gateway.namespace, "other") == {}
