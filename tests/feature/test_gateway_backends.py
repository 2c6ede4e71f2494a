"""Gateway API beyond plain HTTP: connections that nobody looks into, gRPC, TLS towards backends, patience and retries.

A second Gateway stands for a backend that speaks TLS.
"""

from __future__ import annotations

import itertools

import grpc
import pytest
from bookshop.v1 import catalog_pb2, catalog_pb2_grpc

from support.bookshop import Bookshop
from support.credentials import certificate_pem, tls_data
from support.gateway import Gateway, until
from support.gatewayapi import backend, foreign, gateway_class, http_route, listener, parent, pods, rule, tls_listener
from support.gatewayapi import gateway as gateway_of
from support.origin import Reply
from support.processes import free_ports
from support.resources import Document, config_map, endpoint_slice, secret, service

INNER = "inner.example.com"


@pytest.fixture
def secure(gateway: Gateway) -> int:
    """The port of a backend that speaks TLS as `inner.example.com`, and answers as `one`."""
    (port,) = free_ports(1)
    one = gateway.origin("one")
    gateway.apply(
        gateway_class(),
        secret("inner", tls_data(INNER), "kubernetes.io/tls"),
        gateway_of(tls_listener(port, "inner"), name="inner"),
        *pods("one", one.port),
        http_route("inner", rule(to="one"), parents=(parent("inner"),)),
        *pods("secure", port),
    )
    return port


def stream_route(kind: str, *backends: Document, **spec: object) -> Document:
    return foreign(kind, "stream", {"parentRefs": [parent()], "rules": [{"backendRefs": list(backends)}], **spec})


def test_a_tcp_route_leads_bytes_as_they_are(gateway: Gateway) -> None:
    one = gateway.origin("one")
    gateway.apply(
        gateway_class(),
        gateway_of(listener(gateway.port, protocol="TCP")),
        *pods("one", one.port),
        stream_route("TCPRoute", backend("one"), backend("two", weight=0)),
        expect={("TCPRoute", "stream"): "BackendNotFound"},
    )
    answer = gateway.get("/a/../b", host="As.Written", headers=(("x-ff-route", "mine"),))
    assert (answer.origin, one.last.target) == ("one", "/a/../b")
    assert dict(one.last.headers)["x-ff-route"] == "mine"
    assert "x-request-id" not in dict(one.last.headers)


def test_a_tcp_route_without_a_backend_ends_connections(gateway: Gateway) -> None:
    gateway.apply(
        gateway_class(),
        gateway_of(listener(gateway.port, protocol="TCP")),
        stream_route("TCPRoute", backend("lost")),
        expect={("TCPRoute", "stream"): "BackendNotFound"},
    )
    with pytest.raises((ConnectionError, EOFError, ValueError)):
        gateway.get()


@pytest.mark.usefixtures("secure")
def test_tls_is_passed_through_by_its_server_name(gateway: Gateway) -> None:
    gateway.apply(
        gateway_of(listener(gateway.port, "tls", protocol="TLS", tls={"mode": "Passthrough"})),
        stream_route("TLSRoute", backend("secure"), hostnames=[INNER]),
    )
    assert gateway.get(host=INNER, server_name=INNER).origin == "one"
    with pytest.raises(OSError, match=r"."):
        gateway.get(host=INNER, server_name="other.example.com")


@pytest.mark.usefixtures("secure")
def test_a_server_name_is_its_narrowest_listeners_whoever_else_asks_for_it(gateway: Gateway) -> None:
    passing = listener(gateway.port, "tls", protocol="TLS", tls={"mode": "Passthrough"})
    gateway.apply(
        secret("outer", tls_data("outer.example.com"), "kubernetes.io/tls"),
        gateway_of(tls_listener(gateway.port, "outer", hostname="outer.example.com"), passing),
        *pods("two", gateway.origin("two").port),
        http_route("outer", rule(to="two"), parents=(parent(sectionName="https"),)),
        stream_route("TLSRoute", backend("secure"), hostnames=["outer.example.com", INNER]),
    )
    assert gateway.get(host="outer.example.com", server_name="outer.example.com").origin == "two"
    assert gateway.get(host=INNER, server_name=INNER).origin == "one"


def test_tls_is_ended_for_a_route_of_bytes(gateway: Gateway) -> None:
    one = gateway.origin("one")
    tls = {"mode": "Terminate", "certificateRefs": [{"name": "outer"}]}
    gateway.apply(
        gateway_class(),
        secret("outer", tls_data("example.com"), "kubernetes.io/tls"),
        gateway_of(listener(gateway.port, "tls", protocol="TLS", tls=tls)),
        *pods("one", one.port),
        stream_route("TLSRoute", backend("one"), hostnames=["example.com"]),
    )
    assert gateway.get(server_name="example.com").origin == "one"


def backend_tls(authority: str, hostname: str = INNER) -> Document:
    target = {"group": "", "kind": "Service", "name": "secure"}
    refs = [{"group": "", "kind": "ConfigMap", "name": authority}]
    return foreign(
        "BackendTLSPolicy",
        "secure",
        {"targetRefs": [target], "validation": {"hostname": hostname, "caCertificateRefs": refs}},
    )


def test_a_gateway_that_proves_who_it_is_sends_copies_all_the_same(gateway: Gateway) -> None:
    copy = {"type": "RequestMirror", "requestMirror": {"backendRef": backend("two")}}
    gateway.apply(
        gateway_class(),
        secret("client", tls_data(INNER), "kubernetes.io/tls"),
        gateway_of(listener(gateway.port), tls={"backend": {"clientCertificateRef": {"name": "client"}}}),
        *(each for name in ("one", "two") for each in pods(name, gateway.origin(name).port)),
        http_route("books", rule(to="one", filters=(copy,))),
    )
    assert gateway.get().origin == "one"
    until(lambda: len(gateway.origins["two"].received), lambda count: count == 1)


@pytest.mark.usefixtures("secure")
def test_a_backend_proves_who_it_is(gateway: Gateway) -> None:
    gateway.apply(
        gateway_of(listener(gateway.port)),
        http_route("books", rule(to="secure")),
        config_map("right", {"ca.crt": certificate_pem(INNER)}),
        config_map("wrong", {"ca.crt": certificate_pem("somebody.else")}),
    )
    assert gateway.get(host=INNER).status in (400, 502, 503)
    gateway.apply(backend_tls("right"))
    assert gateway.get(host=INNER).origin == "one"
    gateway.apply(backend_tls("right", "other.example.com"))
    assert gateway.get(host=INNER).status == 503
    gateway.apply(backend_tls("wrong"))
    assert gateway.get(host=INNER).status == 503


def test_a_grpc_route_leads_by_service_and_method(gateway: Gateway, bookshop: Bookshop) -> None:
    method = {"service": "bookshop.v1.Catalog", "method": "GetBook"}
    spec = {
        "parentRefs": [parent()],
        "hostnames": ["example.com"],
        "rules": [{"matches": [{"method": method}], "backendRefs": [backend("catalog")]}],
    }
    gateway.apply(
        gateway_class(),
        gateway_of(listener(gateway.port)),
        service("catalog", {"name": "http", "port": 80}),
        endpoint_slice("catalog", {"addresses": ["127.0.0.1"]}, ports=({"name": "http", "port": bookshop.grpc_port},)),
        foreign("GRPCRoute", "catalog", spec),
    )
    options = [("grpc.default_authority", "example.com")]
    with grpc.insecure_channel(f"127.0.0.1:{gateway.port}", options=options) as channel:
        stub = catalog_pb2_grpc.CatalogStub(channel)
        assert stub.GetBook(catalog_pb2.GetBookRequest(id="emma"), timeout=10).book.title == "Emma"
        with pytest.raises(grpc.RpcError) as caught:
            list(stub.ListBooks(catalog_pb2.ListBooksRequest(), timeout=10))
    assert isinstance(caught.value, grpc.Call)
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_a_route_waits_no_longer_than_it_says_and_tries_again_as_often(gateway: Gateway) -> None:
    statuses = itertools.chain([500, 500], itertools.repeat(200))
    slow, shaky = gateway.origin("slow"), gateway.origin("shaky", lambda _: Reply(status=next(statuses)))
    gateway.apply(
        gateway_class(),
        gateway_of(listener(gateway.port)),
        *pods("slow", slow.port),
        *pods("shaky", shaky.port),
        http_route("slow", rule(to="slow", timeouts={"request": "200ms"}), hosts=("slow.example.com",)),
        http_route(
            "shaky",
            rule(to="shaky", retry={"attempts": 2, "codes": [500], "backoff": "10ms"}),
            hosts=("shaky.example.com",),
        ),
    )
    with slow.held():
        assert gateway.get(host="slow.example.com").status == 504
    assert gateway.get(host="shaky.example.com").status == 200
    assert len(shaky.received) == 3
