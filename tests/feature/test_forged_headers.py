"""Headers that only the gateway, or what it trusts, may write: from anyone else they change nothing and go nowhere."""

import pytest

from support.gateway import Gateway
from support.http2 import Http2Client
from support.origin import Origin, Reply
from support.resources import edge, prefix, route, rule

OWN = [
    "x-ff-scope",
    "x-ff-table",
    "x-ff-tenant",
    "x-ff-subject",
    "x-ff-select",
    "x-ff-listener",
    "x-ff-path",
    "x-ff-cluster",
    "x-ff-key",
    "x-ff-plan",
    "x-ff-reason",
    "x-ff-made-up",
    "X-FF-Tenant",
]
ENVOYS = [
    "x-envoy-original-path",
    "x-envoy-upstream-rq-timeout-ms",
    "x-envoy-internal",
    "x-envoy-decorator-operation",
    "x-envoy-upstream-alt-stat-name",
    "x-envoy-auth-failure-mode-allowed",
    "x-envoy-force-trace",
    "X-Envoy-Original-Url",
]
FORWARDED = [
    "forwarded",
    "x-real-ip",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-server",
]


@pytest.fixture
def origin(gateway: Gateway) -> Origin:
    origin = gateway.upstream("books")
    gateway.apply(
        route("books", rule(to="books"), hosts="example.com"), route("b", rule(says="b"), hosts="b.example.com")
    )
    return origin


def forged(names: list[str]) -> list[tuple[str, str]]:
    return [(name, "forged") for name in names]


@pytest.mark.parametrize("names", [OWN, ENVOYS, FORWARDED], ids=["gateway", "proxy", "forwarded"])
def test_what_a_client_forges_never_reaches_the_origin(gateway: Gateway, origin: Origin, names: list[str]) -> None:
    assert gateway.get(headers=forged(names)).origin == "books"
    with Http2Client(gateway.port) as client:
        lower = [(name.lower(), value) for name, value in forged(names)]
        assert client.request("GET", "/", host="example.com", headers=lower).origin == "books"
    for request in origin.received:
        assert "forged" not in str(request.headers)


def test_the_origin_gets_none_of_the_gateways_own_headers(gateway: Gateway, origin: Origin) -> None:
    gateway.get()
    assert {name for name in origin.last.names if name.startswith("x-ff-")} == set()


@pytest.mark.parametrize("name", ["x-ff-scope", "x-ff-table", "x-ff-tenant", "x-ff-path", "x-ff-listener"])
def test_naming_a_header_in_connection_does_not_remove_it(gateway: Gateway, origin: Origin, name: str) -> None:
    answer = gateway.get(headers={"connection": f"{name}, keep-alive", name: "forged"})
    assert answer.origin == "books"
    assert name not in origin.last.names


def test_no_origin_says_that_the_gateway_has_refused(gateway: Gateway) -> None:
    refusing = (("x-ff-reason", "authentication/token-expired"), ("x-own", "stays"))
    gateway.upstream("books", lambda _: Reply(status=401, headers=refusing))
    gateway.apply(route("books", rule(to="books")))
    answer = gateway.get()
    assert (answer.status, answer.header("x-own"), answer.header("x-ff-reason")) == (401, "stays", None)
    assert gateway.log_line(answer)["refusal"] is None


def test_a_forged_scope_leads_to_no_other_host(gateway: Gateway, origin: Origin) -> None:
    scope = f"{gateway.namespace}/public|b.example.com"
    assert gateway.get(headers={"x-ff-scope": scope}).origin == "books"
    assert gateway.get(headers=[("x-ff-scope", scope), ("x-ff-scope", scope)]).origin == "books"
    assert len(origin.received) == 2


def test_a_forged_path_leads_to_no_other_rule(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(route("admin", rule(prefix("/admin"), says="admin")))
    for name in ("x-ff-path", "x-envoy-original-path", "x-original-url", "x-rewrite-url", "x-http-method-override"):
        assert gateway.get("/open", headers={name: "/admin"}).origin == "books", name
    assert all(request.target == "/open" for request in origin.received)


def test_the_client_address_is_the_peers_whatever_the_client_says(gateway: Gateway, origin: Origin) -> None:
    answer = gateway.get(headers={"x-forwarded-for": "10.1.2.3", "x-forwarded-proto": "https"})
    assert "10.1.2.3" not in (origin.last.header("x-forwarded-for") or "")
    assert origin.last.header("x-forwarded-proto") == "http"
    assert gateway.log_line(answer)["address"] == "127.0.0.1"


def test_a_trusted_hop_is_believed_for_one_address_and_no_further(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(edge(gateway.port, trustedHops={"count": 1}))
    answer = gateway.get(headers={"x-forwarded-for": "10.1.2.3, 192.0.2.7", "x-forwarded-proto": "https"})
    assert gateway.log_line(answer)["address"] == "192.0.2.7"
    assert origin.last.header("x-forwarded-proto") == "https"


def test_with_two_trusted_hops_the_address_before_them_counts(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(edge(gateway.port, trustedHops={"count": 2}))
    answer = gateway.get(headers={"x-forwarded-for": "10.1.2.3, 192.0.2.7, 198.51.100.1"})
    assert gateway.log_line(answer)["address"] == "192.0.2.7"
    assert len(origin.received) == 1


def test_a_request_id_is_made_for_clients_and_kept_from_trusted_hops(gateway: Gateway, origin: Origin) -> None:
    mine = "11111111-2222-4333-8444-555555555555"
    answer = gateway.get(headers={"x-request-id": mine})
    assert answer.header("x-request-id") == origin.last.header("x-request-id") != mine
    gateway.apply(edge(gateway.port, trustedHops={"count": 1}))
    answer = gateway.get(headers={"x-request-id": mine})
    assert answer.header("x-request-id") == origin.last.header("x-request-id") == mine


def test_nothing_of_the_gateways_inside_is_told_to_clients(gateway: Gateway, origin: Origin) -> None:
    answer = gateway.get()
    assert not {name for name, _ in answer.headers if name.startswith(("x-envoy-", "x-ff-"))}
    assert answer.header("server") == "fastforward"
    assert len(origin.received) == 1
