"""gRPC through the gateway: unary, streams both ways, trailers, deadlines, refusals."""

import threading
from collections.abc import Generator

import grpc
import pytest
from bookshop.v1 import catalog_pb2, catalog_pb2_grpc

from support.bookshop import Bookshop
from support.gateway import Gateway, until
from support.processes import free_port
from support.resources import Json, edge, prefix, route, rule, upstream

TIMEOUT_S = 10
SERVICE = "/bookshop.v1.Catalog"


@pytest.fixture
def catalog(gateway: Gateway, bookshop: Bookshop) -> Generator[catalog_pb2_grpc.CatalogStub]:
    gateway.apply(upstream("catalog", bookshop.grpc_port, protocol="GRPC"))
    with grpc.insecure_channel(
        f"127.0.0.1:{gateway.port}", options=[("grpc.default_authority", "example.com")]
    ) as channel:
        yield catalog_pb2_grpc.CatalogStub(channel)


def apply(gateway: Gateway, **fields: Json) -> None:
    gateway.apply(route("catalog", rule(prefix(SERVICE), to="catalog", **fields)))


def code_of(call: object) -> grpc.StatusCode:
    assert isinstance(call, grpc.Call)
    return call.code()


def test_a_unary_call_is_answered_with_its_metadata(gateway: Gateway, catalog: catalog_pb2_grpc.CatalogStub) -> None:
    apply(gateway)
    answer, call = catalog.GetBook.with_call(catalog_pb2.GetBookRequest(id="emma"), timeout=TIMEOUT_S)
    assert (answer.book.title, answer.served_by) == ("Emma", "catalog")
    assert ("x-served-by", "catalog") in list(call.initial_metadata())


def test_a_stream_of_answers_arrives_in_order(gateway: Gateway, catalog: catalog_pb2_grpc.CatalogStub) -> None:
    apply(gateway)
    books = [each.book.id for each in catalog.ListBooks(catalog_pb2.ListBooksRequest(), timeout=TIMEOUT_S)]
    assert books == ["pride", "emma", "moby"]


def test_a_conversation_goes_both_ways_at_once(gateway: Gateway, catalog: catalog_pb2_grpc.CatalogStub) -> None:
    apply(gateway)
    heard: list[str] = []

    def say() -> Generator[catalog_pb2.ChatRequest]:
        for number, author in enumerate(("Austen", "Nobody", "Austen")):
            until(lambda number=number: len(heard) == number)
            yield catalog_pb2.ChatRequest(text=author)

    for answer in catalog.Chat(say(), timeout=TIMEOUT_S):
        heard.append(answer.text)  # noqa: PERF401 - the next question waits for it
    assert len(heard) == 3
    assert "Emma" in heard[0]


def test_an_error_comes_with_its_code_and_words(gateway: Gateway, catalog: catalog_pb2_grpc.CatalogStub) -> None:
    apply(gateway)
    with pytest.raises(grpc.RpcError) as refusal:
        catalog.GetBook(catalog_pb2.GetBookRequest(id="missing"), timeout=TIMEOUT_S)
    assert code_of(refusal.value) is grpc.StatusCode.NOT_FOUND


def test_a_method_that_no_route_has_is_unimplemented(gateway: Gateway, catalog: catalog_pb2_grpc.CatalogStub) -> None:
    gateway.apply(route("catalog", rule(prefix(f"{SERVICE}/GetBook"), to="catalog")))
    catalog.GetBook(catalog_pb2.GetBookRequest(id="emma"), timeout=TIMEOUT_S)
    with pytest.raises(grpc.RpcError) as refusal:
        list(catalog.ListBooks(catalog_pb2.ListBooksRequest(), timeout=TIMEOUT_S))
    assert code_of(refusal.value) is grpc.StatusCode.UNIMPLEMENTED


def test_an_upstream_that_is_not_there_is_unavailable(gateway: Gateway, catalog: catalog_pb2_grpc.CatalogStub) -> None:
    gateway.apply(upstream("catalog", free_port(), protocol="GRPC"))
    apply(gateway)
    with pytest.raises(grpc.RpcError) as refusal:
        catalog.GetBook(catalog_pb2.GetBookRequest(id="emma"), timeout=TIMEOUT_S)
    assert code_of(refusal.value) is grpc.StatusCode.UNAVAILABLE


def test_a_quiet_stream_ends_at_the_idle_bound_of_its_rule(
    gateway: Gateway, catalog: catalog_pb2_grpc.CatalogStub
) -> None:
    apply(gateway, timeout={"idle": "300ms"})
    ended = threading.Event()

    def say_nothing() -> Generator[catalog_pb2.ChatRequest]:
        ended.wait(TIMEOUT_S)
        yield from ()

    call = catalog.Chat(say_nothing(), timeout=TIMEOUT_S)
    with pytest.raises(grpc.RpcError) as refusal:
        list(call)
    ended.set()
    # A reset where the server has sent its headers by then, Unavailable where it has not.
    assert code_of(refusal.value) in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE)


def test_calls_may_be_matched_by_their_metadata(
    gateway: Gateway, catalog: catalog_pb2_grpc.CatalogStub, bookshop: Bookshop
) -> None:
    gateway.apply(
        route(
            "catalog",
            rule(prefix(SERVICE, headers=[{"name": "x-version", "value": "2"}]), to="catalog"),
            rule(prefix("/"), says="other"),
        )
    )
    assert bookshop.process.poll() is None
    answer = catalog.GetBook(catalog_pb2.GetBookRequest(id="emma"), metadata=(("x-version", "2"),), timeout=TIMEOUT_S)
    assert answer.book.id == "emma"
    with pytest.raises(grpc.RpcError):
        catalog.GetBook(catalog_pb2.GetBookRequest(id="emma"), timeout=TIMEOUT_S)


def test_a_long_upload_is_not_cut_by_the_bounds_for_headers(
    gateway: Gateway, catalog: catalog_pb2_grpc.CatalogStub
) -> None:
    gateway.apply(edge(gateway.port, timeouts={"requestHeaders": "100ms"}))
    apply(gateway)
    answers = catalog.Chat((catalog_pb2.ChatRequest(text="Austen") for _ in range(500)), timeout=TIMEOUT_S)
    assert sum(1 for _ in answers) == 500
