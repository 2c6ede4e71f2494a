"""gRPC-Web: browsers call upstreams that speak gRPC, on Edges that say so."""

from __future__ import annotations

import grpc
import pytest
from bookshop.v1 import catalog_pb2, catalog_pb2_grpc

from support.bookshop import Bookshop
from support.client import Response
from support.gateway import Gateway
from support.grpc_web import BINARY, TEXT, WebAnswer, framed, read_answer
from support.http2 import Http2Client
from support.processes import free_port
from support.resources import (
    Document,
    Json,
    edge,
    issuers,
    on,
    policy,
    prefix,
    proven_by,
    route,
    rule,
    tokens_of,
    upstream,
)
from support.tokens import bearer

SERVICE = "/bookshop.v1.Catalog"
PAGE = "https://pages.example.org"
EMMA = catalog_pb2.GetBookRequest(id="emma").SerializeToString()
KINDS = pytest.mark.parametrize("kind", [BINARY, TEXT])


@pytest.fixture(autouse=True)
def web(gateway: Gateway, bookshop: Bookshop) -> None:
    gateway.apply(edge(gateway.port, grpc={"web": True}), upstream("catalog", bookshop.grpc_port, protocol="GRPC"))


def calls(gateway: Gateway, **fields: Json) -> None:
    gateway.apply(route("catalog", rule(prefix(SERVICE), to="catalog", **fields)))


def post(gateway: Gateway, method: str, message: bytes, kind: str = BINARY, **headers: str) -> Response:
    written = {"content-type": kind, "accept": kind, "x-grpc-web": "1"}
    written |= {name.replace("_", "-"): value for name, value in headers.items()}
    return gateway.request("POST", f"{SERVICE}/{method}", headers=written, body=framed(message, kind))


def call(gateway: Gateway, method: str, message: bytes, kind: str = BINARY, **headers: str) -> WebAnswer:
    return read_answer(post(gateway, method, message, kind, **headers))


@KINDS
def test_a_call_is_answered_with_its_trailers_in_the_body(gateway: Gateway, kind: str) -> None:
    calls(gateway)
    answer = call(gateway, "GetBook", EMMA, kind)
    assert (answer.response.status, answer.response.header("content-type")) == (200, kind)
    assert answer.response.header("x-served-by") == "catalog"
    assert [catalog_pb2.GetBookResponse.FromString(each).book.title for each in answer.messages] == ["Emma"]
    assert answer.trailers["grpc-status"] == "0"


@KINDS
def test_a_stream_of_answers_arrives_in_order(gateway: Gateway, kind: str) -> None:
    calls(gateway)
    answer = call(gateway, "ListBooks", b"", kind)
    books = [catalog_pb2.ListBooksResponse.FromString(each).book.id for each in answer.messages]
    assert (books, answer.status) == (["pride", "emma", "moby"], 0)


@KINDS
def test_an_error_of_the_call_comes_with_its_words(gateway: Gateway, kind: str) -> None:
    calls(gateway)
    answer = call(gateway, "GetBook", catalog_pb2.GetBookRequest(id="missing").SerializeToString(), kind)
    assert (answer.response.status, answer.messages, answer.status) == (200, (), grpc.StatusCode.NOT_FOUND.value[0])
    assert "missing" in (answer.trailers.get("grpc-message") or answer.response.header("grpc-message") or "")


def test_calls_come_over_http2_as_well(gateway: Gateway) -> None:
    calls(gateway)
    with Http2Client(gateway.port) as client:
        headers = [("content-type", BINARY), ("x-grpc-web", "1")]
        answer = client.request("POST", f"{SERVICE}/GetBook", host="example.com", headers=headers, body=framed(EMMA))
    assert read_answer(answer).status == 0


def test_who_speaks_grpc_itself_is_served_as_before(gateway: Gateway) -> None:
    calls(gateway)
    options = [("grpc.default_authority", "example.com")]
    with grpc.insecure_channel(f"127.0.0.1:{gateway.port}", options=options) as channel:
        found = catalog_pb2_grpc.CatalogStub(channel).GetBook(catalog_pb2.GetBookRequest(id="emma"), timeout=10)
    assert found.book.title == "Emma"


def test_an_upstream_that_is_not_there_is_unavailable(gateway: Gateway) -> None:
    gateway.apply(upstream("catalog", free_port(), protocol="GRPC"))
    calls(gateway)
    assert call(gateway, "GetBook", EMMA).status == grpc.StatusCode.UNAVAILABLE.value[0]


def test_pages_of_other_origins_may_call_where_the_rule_has_cors(gateway: Gateway) -> None:
    calls(gateway, cors={"allowOrigins": [PAGE], "allowMethods": ["POST"], "allowHeaders": ["x-token"]})
    asked = {
        "origin": PAGE,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,x-grpc-web,x-user-agent",
    }
    preflight = gateway.request("OPTIONS", f"{SERVICE}/GetBook", headers=asked)
    allowed = (preflight.header("access-control-allow-headers") or "").split(", ")
    assert preflight.status == 200
    assert allowed == ["x-token", "content-type", "x-grpc-web", "x-user-agent", "grpc-timeout"]
    answer = call(gateway, "GetBook", EMMA, origin=PAGE)
    assert answer.response.header("access-control-allow-origin") == PAGE
    exposed = (answer.response.header("access-control-expose-headers") or "").split(", ")
    assert exposed == ["grpc-status", "grpc-message", "grpc-status-details-bin"]


def test_who_may_not_call_is_told_by_http_and_nothing_reaches_the_upstream(gateway: Gateway) -> None:
    gateway.apply(
        issuers("a"),
        route("catalog", rule(prefix(SERVICE), to="catalog")),
        policy("members", on("Route", "catalog"), authentication=proven_by(tokens_of())),
    )
    refused = post(gateway, "GetBook", EMMA)
    assert (refused.status, refused.reason) == (401, "authentication/token-missing")
    assert call(gateway, "GetBook", EMMA, authorization=bearer("a")["authorization"]).status == 0


def test_what_matches_and_judges_sees_the_content_type_that_the_client_sent(gateway: Gateway) -> None:
    by_type: Document = prefix(SERVICE, headers=[{"name": "content-type", "value": BINARY}])
    gateway.apply(
        route("catalog", rule(by_type, to="catalog"), rule(prefix("/"), says="other")),
        route("typed", rule(prefix("/typed"), to="catalog"), admission={"contentTypes": ["application/json"]}),
    )
    assert call(gateway, "GetBook", EMMA).status == 0
    assert post(gateway, "GetBook", EMMA, TEXT).body == "other"
    refused = gateway.request("POST", "/typed", headers={"content-type": BINARY}, body=framed(EMMA))
    assert refused.status == 415


def test_an_upstream_that_speaks_http_gets_the_call_as_it_came(gateway: Gateway) -> None:
    origin = gateway.upstream("pages")
    gateway.apply(route("catalog", rule(prefix(SERVICE), to="pages")))
    assert post(gateway, "GetBook", EMMA, TEXT).status == 200
    assert (origin.last.header("content-type"), origin.last.body) == (TEXT, framed(EMMA, TEXT))


def test_an_edge_that_does_not_say_so_translates_nothing(gateway: Gateway) -> None:
    gateway.apply(edge(gateway.port))
    calls(gateway)
    refused = post(gateway, "GetBook", EMMA)
    assert refused.header("content-type") != BINARY
