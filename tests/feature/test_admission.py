"""Who may knock and with what: addresses, body sizes, content types, on the Edge and on the Route."""

import pytest

from support.client import Response
from support.gateway import Gateway
from support.origin import Origin
from support.resources import Document, edge, route, rule


def admit(gateway: Gateway, on_route: Document, on_edge: Document | None = None) -> Origin:
    origin = gateway.origins.get("books") or gateway.upstream("books")
    gateway.apply(edge(gateway.port, admission=on_edge or {}), route("books", rule(to="books"), admission=on_route))
    return origin


def from_address(gateway: Gateway, address: str) -> Response:
    with gateway.connect(source=address) as connection:
        return connection.request("GET", "/", host="example.com")


def post(gateway: Gateway, body: bytes, content_type: str | None = None, *, chunked: bool = False) -> Response:
    headers = {} if content_type is None else {"content-type": content_type}
    if chunked:
        headers["transfer-encoding"] = "chunked"
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    return gateway.request("POST", headers=headers, body=body)


def test_only_networks_that_are_allowed_are_let_in(gateway: Gateway) -> None:
    admit(gateway, {"allowAddresses": ["127.0.1.0/24", "127.0.2.2/32"]})
    for address in ("127.0.1.1", "127.0.1.254", "127.0.2.2"):
        assert from_address(gateway, address).status == 200, address
    for address in ("127.0.0.1", "127.0.2.1"):
        answer = from_address(gateway, address)
        assert (answer.status, answer.reason) == (403, "admission/address-denied"), address


def test_denial_wins_over_allowance(gateway: Gateway) -> None:
    admit(gateway, {"allowAddresses": ["127.0.0.0/8"], "denyAddresses": ["127.0.1.1/32"]})
    assert from_address(gateway, "127.0.1.2").status == 200
    assert from_address(gateway, "127.0.1.1").status == 403


def test_what_edge_and_route_say_both_hold(gateway: Gateway) -> None:
    admit(
        gateway,
        {"allowAddresses": ["127.0.1.0/24"]},
        {"allowAddresses": ["127.0.0.0/16"], "denyAddresses": ["127.0.1.7"]},
    )
    found = {address: from_address(gateway, address).status for address in ("127.0.1.1", "127.0.0.1", "127.0.1.7")}
    assert found == {"127.0.1.1": 200, "127.0.0.1": 403, "127.0.1.7": 403}


def test_a_forged_address_opens_no_door(gateway: Gateway) -> None:
    admit(gateway, {"allowAddresses": ["10.0.0.0/8"]})
    for name in ("x-forwarded-for", "x-real-ip", "forwarded", "x-envoy-external-address"):
        assert gateway.get(headers={name: "10.0.0.1"}).status == 403, name


def test_behind_a_trusted_hop_the_clients_own_address_counts(gateway: Gateway) -> None:
    gateway.upstream("books")
    gateway.apply(
        edge(gateway.port, trustedHops={"count": 1}),
        route("books", rule(to="books"), admission={"denyAddresses": ["198.51.100.0/24"]}),
    )
    assert gateway.get(headers={"x-forwarded-for": "192.0.2.1"}).status == 200
    assert gateway.get(headers={"x-forwarded-for": "192.0.2.1, 198.51.100.9"}).status == 403


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
def test_a_larger_body_than_allowed_is_413_and_never_arrives(gateway: Gateway, *, chunked: bool) -> None:
    origin = admit(gateway, {"maxBodyBytes": 100})
    assert post(gateway, b"x" * 100, chunked=chunked).status == 200
    assert len(origin.last.body) == 100
    answer = post(gateway, b"x" * 101, chunked=chunked)
    assert (answer.status, answer.reason) == (413, "admission/body-too-large")
    assert len(origin.received) == 1


def test_the_smaller_bound_of_edge_and_route_holds(gateway: Gateway) -> None:
    admit(gateway, {"maxBodyBytes": 100}, {"maxBodyBytes": 50})
    assert post(gateway, b"x" * 50).status == 200
    assert post(gateway, b"x" * 51).status == 413


def test_a_bound_of_nought_lets_no_body_through(gateway: Gateway) -> None:
    origin = admit(gateway, {"maxBodyBytes": 0})
    assert gateway.get().status == 200
    assert post(gateway, b"").status == 200
    assert post(gateway, b"x").status == 413
    assert len(origin.received) == 2


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("Application/JSON ;x=y", 200),
        ("text/plain", 415),
        ("application/jsonx", 415),
        ("application/json, text/plain", 415),
        ("text/plain; application/json", 415),
        ("", 415),
        (None, 415),
    ],
)
def test_only_listed_media_types_are_accepted(gateway: Gateway, sent: str | None, status: int) -> None:
    origin = admit(gateway, {"contentTypes": ["application/json", "text/csv"]})
    answer = post(gateway, b"{}", sent)
    assert answer.status == status
    assert answer.reason == ("admission/content-type" if status == 415 else None)
    assert len(origin.received) == (1 if status == 200 else 0)


def test_a_request_without_a_body_needs_no_media_type(gateway: Gateway) -> None:
    admit(gateway, {"contentTypes": ["application/json"]})
    for method in ("GET", "HEAD", "DELETE", "OPTIONS"):
        assert gateway.request(method).status == 200, method
    assert gateway.request("POST", headers={"content-length": "0"}).status == 200


def test_a_chunked_body_of_another_type_is_refused_too(gateway: Gateway) -> None:
    admit(gateway, {"contentTypes": ["application/json"]})
    assert post(gateway, b"{}", "application/json", chunked=True).status == 200
    assert post(gateway, b"x", "text/plain", chunked=True).status == 415


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "PROPFIND"])
def test_a_chunked_body_without_a_type_is_refused_too(gateway: Gateway, method: str) -> None:
    origin = admit(gateway, {"contentTypes": ["application/json"]})
    assert gateway.request(method, headers={"transfer-encoding": "chunked"}, body=b"1\r\nx\r\n0\r\n\r\n").status == 415
    assert origin.received == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS"])
def test_no_method_lifts_the_media_type_of_a_chunked_body(gateway: Gateway, method: str) -> None:
    origin = admit(gateway, {"contentTypes": ["application/json"]})
    headers = {"transfer-encoding": "chunked", "content-type": "text/xml"}
    assert gateway.request(method, headers=headers, body=b"1\r\nx\r\n0\r\n\r\n").status == 415
    assert origin.received == []


@pytest.mark.parametrize(
    "headers",
    [
        {"upgrade": "x"},
        {"upgrade": "websocket", "connection": "upgrade"},
        {"content-type": "application/grpc"},
        {"content-type": "application/grpc+json"},
    ],
    ids=["upgrade", "websocket", "grpc", "grpc-json"],
)
def test_no_header_lifts_the_bound_of_a_chunked_body(gateway: Gateway, headers: dict[str, str]) -> None:
    origin = admit(gateway, {"maxBodyBytes": 10})
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (5000, b"x" * 5000)
    gateway.request("POST", headers={"transfer-encoding": "chunked", **headers}, body=body)
    assert all(len(request.body) <= 10 for request in origin.received)


def test_settings_in_the_shadow_refuse_nothing_and_leave_their_reason_in_the_log(gateway: Gateway) -> None:
    admit(
        gateway,
        {"maxBodyBytes": 10, "contentTypes": ["application/json"], "denyAddresses": ["127.0.1.7"], "shadow": True},
        {"denyAddresses": ["127.0.1.8"]},
    )
    told = {
        "admission/body-too-large": post(gateway, b"x" * 11, "application/json"),
        "admission/content-type": post(gateway, b"x", "text/plain"),
        "admission/address-denied": from_address(gateway, "127.0.1.7"),
        None: post(gateway, b"x", "application/json"),
    }
    assert {answer.status for answer in told.values()} == {200}
    assert {reason: gateway.log_line(answer)["shadowAdmission"] for reason, answer in told.items()} == {
        reason: reason for reason in told
    }
    assert from_address(gateway, "127.0.1.8").status == 403
    assert post(gateway, b"x" * 5000, "application/json", chunked=True).status == 200


def test_what_would_be_refused_is_counted_by_the_proxy(gateway: Gateway) -> None:
    admit(gateway, {"maxBodyBytes": 10, "shadow": True})
    counted = "rbac.shadow_denied"
    before = gateway.stack.envoy_stats(counted)
    assert post(gateway, b"x" * 11).status == 200
    assert counted in gateway.stack.envoy_stats(counted)
    assert gateway.stack.envoy_stats(counted) != before
