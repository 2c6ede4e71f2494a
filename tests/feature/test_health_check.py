"""Endpoints that fail their active health checks get no requests; they come back when they answer well."""

from collections import Counter

import grpc
from bookshop.v1 import catalog_pb2, catalog_pb2_grpc

from support.bookshop import Bookshop
from support.gateway import Gateway, until
from support.http2 import Http2Origin
from support.origin import Received, Reply
from support.resources import Document, route, rule, upstream

QUICK = {"interval": "50ms", "timeout": "500ms", "unhealthyThreshold": 1, "healthyThreshold": 1}


class Patient:
    """Answers requests, and health checks by what it is set to."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.checks: list[Received] = []

    def __call__(self, request: Received) -> Reply:
        if request.target != "/health":
            return Reply()
        self.checks.append(request)
        return Reply(status=self.status)


def found(gateway: Gateway, requests: int = 10) -> Counter[str | None]:
    with gateway.connect() as connection:
        return Counter(connection.request("GET", "/", host="example.com").origin for _ in range(requests))


def apply(gateway: Gateway, *ports: int, **check: object) -> None:
    gateway.apply(upstream("books", *ports, healthCheck={**QUICK, **check}), route("books", rule(to="books")))


def test_only_endpoints_that_pass_get_requests_and_they_come_and_go(gateway: Gateway) -> None:
    a, b = Patient(), Patient(status=500)
    apply(gateway, gateway.origin("a", a).port, gateway.origin("b", b).port, path="/health")
    until(lambda: found(gateway), lambda seen: seen == {"a": 10})
    b.status = 200
    until(lambda: found(gateway), lambda seen: seen == {"a": 5, "b": 5})
    a.status = 503
    until(lambda: found(gateway), lambda seen: seen == {"b": 10})


def test_the_check_is_a_get_of_the_path_with_a_proper_host(gateway: Gateway) -> None:
    patient = Patient()
    apply(gateway, gateway.origin("a", patient).port, path="/health")
    until(lambda: patient.checks)
    check = patient.checks[0]
    assert (check.method, check.target) == ("GET", "/health")
    assert check.header("host") == f"books.{gateway.namespace}"


def test_one_failure_is_not_enough_where_the_threshold_is_higher(gateway: Gateway) -> None:
    flaky, calm = Patient(), Patient()
    flaky_port, calm_port = gateway.origin("flaky", flaky).port, gateway.origin("calm", calm).port
    apply(gateway, flaky_port, calm_port, path="/health", unhealthyThreshold=3, interval="100ms")
    until(lambda: found(gateway), lambda seen: seen == {"flaky": 5, "calm": 5})
    before = len(flaky.checks)
    flaky.status = 500
    until(lambda: found(gateway), lambda seen: seen == {"calm": 10})
    assert len(flaky.checks) - before >= 3


def test_a_tcp_check_asks_only_for_a_connection(gateway: Gateway) -> None:
    a, b = gateway.origin("a"), gateway.origin("b")
    apply(gateway, a.port, b.port, type="TCP")
    until(lambda: found(gateway), lambda seen: seen == {"a": 5, "b": 5})
    b.stop()
    until(lambda: found(gateway), lambda seen: seen == {"a": 10})
    b.start()
    until(lambda: found(gateway), lambda seen: seen == {"a": 5, "b": 5})


def test_a_grpc_check_asks_the_health_service(gateway: Gateway, bookshop: Bookshop) -> None:
    other = gateway.origin("other", kind=Http2Origin)
    check: Document = {**QUICK, "type": "GRPC"}
    gateway.apply(
        upstream("catalog", bookshop.grpc_port, other.port, protocol="GRPC", healthCheck=check),
        route("books", rule(to="catalog")),
    )
    until(lambda: [check.target for check in other.received], lambda seen: "/grpc.health.v1.Health/Check" in seen)
    with grpc.insecure_channel(
        f"127.0.0.1:{gateway.port}", options=[("grpc.default_authority", "example.com")]
    ) as channel:
        catalog = catalog_pb2_grpc.CatalogStub(channel)
        for _ in range(10):
            assert catalog.GetBook(catalog_pb2.GetBookRequest(id="emma"), timeout=5).book.title == "Emma"


def test_the_one_healthy_endpoint_of_many_gets_every_request(gateway: Gateway) -> None:
    bad = [gateway.origin(f"bad-{number}", Patient(500)).port for number in range(4)]
    apply(gateway, *bad, gateway.origin("good", Patient()).port, path="/health")
    until(lambda: found(gateway), lambda seen: seen == {"good": 10})
    assert found(gateway, 50) == {"good": 50}


def test_without_any_healthy_endpoint_requests_are_503_at_once(gateway: Gateway) -> None:
    patient = Patient()
    apply(gateway, gateway.origin("a", patient).port, path="/health")
    until(lambda: found(gateway, 2), lambda seen: seen == {"a": 2})
    patient.status = 500
    answer = until(gateway.get, lambda answer: answer.status == 503)
    assert (answer.reason, gateway.log_line(answer)["flags"]) == ("dispatch/no-endpoint", "UH")
