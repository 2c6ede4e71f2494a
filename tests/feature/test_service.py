"""Upstreams by Kubernetes Service: found by port, answered 503 while nobody serves, told what they lack."""

from support.bookshop import Bookshop
from support.gateway import Gateway, until
from support.resources import endpoint_slice, reference_grant, resource, route, rule, service, upstream

HTTP = {"name": "http", "port": 80, "targetPort": "web"}


def test_a_service_leads_to_its_ready_pods(gateway: Gateway) -> None:
    pods = gateway.origin("pods")
    ready, ending = {"addresses": ["127.0.0.1"]}, {"addresses": ["192.0.2.1"], "conditions": {"ready": False}}
    gateway.apply(
        service("books", HTTP),
        endpoint_slice("books", ready, ending, ports=({"name": "http", "port": pods.port},)),
        upstream("books", service={"name": "books", "portName": "http"}),
        route("books", rule(to="books")),
    )
    assert {gateway.get().origin for _ in range(10)} == {"pods"}


def test_without_pods_the_answer_is_503_until_one_is_ready(gateway: Gateway) -> None:
    pods = gateway.origin("pods")
    gateway.apply(
        service("books", HTTP),
        upstream("books", service={"name": "books", "port": 80}),
        upstream("lost", service={"name": "lost", "port": 80}),
        route("books", rule(to="books")),
        route("lost", rule(to="lost"), hosts="lost.example.com"),
        expect={("Upstream", "books"): "NoEndpoints", ("Upstream", "lost"): "ServiceNotFound"},
    )
    answers = gateway.get(), gateway.get(host="lost.example.com")
    assert [(answer.status, answer.reason) for answer in answers] == [(503, "dispatch/no-endpoint")] * 2
    assert gateway.problems("Upstream", "lost") == {"spec.service": f"Service {gateway.namespace}/lost was not found."}
    gateway.apply(endpoint_slice("books", {"addresses": ["127.0.0.1"]}, ports=({"name": "http", "port": pods.port},)))
    until(lambda: gateway.get().origin, lambda name: name == "pods")
    assert gateway.problems("Upstream", "books") == {}


def test_a_service_of_another_namespace_needs_a_grant(gateway: Gateway) -> None:
    pods, other = gateway.origin("pods"), f"{gateway.namespace}-other"
    gateway.apply(
        service("books", HTTP, namespace=other),
        endpoint_slice(
            "books", {"addresses": ["127.0.0.1"]}, ports=({"name": "http", "port": pods.port},), namespace=other
        ),
        upstream("books", service={"name": "books", "namespace": other, "port": 80}),
        route("books", rule(to="books")),
        expect={("Upstream", "books"): "RefNotPermitted"},
    )
    assert gateway.get().status == 503
    gateway.apply(
        reference_grant("grant", other, from_kind="Upstream", from_namespace=gateway.namespace, to_kind="Service")
    )
    until(lambda: gateway.get().origin, lambda name: name == "pods")


def test_the_port_of_a_service_says_that_it_speaks_http_2(gateway: Gateway, bookshop: Bookshop) -> None:
    gateway.apply(
        service("rpc", {**HTTP, "appProtocol": "kubernetes.io/h2c"}),
        endpoint_slice("rpc", {"addresses": ["127.0.0.1"]}, ports=({"name": "http", "port": bookshop.grpc_port},)),
        resource("Upstream", "rpc", {"service": {"name": "rpc", "port": 80}}),
        route("rpc", rule(to="rpc")),
    )
    # A gRPC server speaks nothing else: over HTTP/1.1 the connection would fail.
    typed = (("content-type", "application/grpc"), ("te", "trailers"))
    answer = gateway.request("POST", "/grpc.health.v1.Health/Check", headers=typed, body=bytes(5))
    assert (answer.status, answer.reason) == (200, None)
