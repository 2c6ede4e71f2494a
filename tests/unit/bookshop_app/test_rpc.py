"""What the bookshop answers over gRPC, and that the committed code is what its .proto says."""

import os
import queue
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import grpc
import pytest
from bookshop.v1 import catalog_pb2, catalog_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from support.bookshop import Bookshop

ACME = (("x-ff-tenant", "acme"),)
TIMEOUT = 10


@pytest.fixture
def channel(bookshop: Bookshop) -> Generator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{bookshop.grpc_port}") as channel:
        yield channel


def test_get_book_answers_for_the_tenant_and_says_who_served_it(channel: grpc.Channel) -> None:
    get_book = catalog_pb2_grpc.CatalogStub(channel).GetBook
    answer, call = get_book.with_call(catalog_pb2.GetBookRequest(id="dune"), metadata=ACME, timeout=TIMEOUT)
    assert answer.book.title == "Dune"
    assert (answer.tenant, answer.served_by, answer.shard) == ("acme", "catalog-v7", "north")
    assert ("x-served-by", "catalog-v7") in list(call.initial_metadata())


@pytest.mark.parametrize(
    ("book", "tenant"), [("dune", "public"), ("dune", "nobody")], ids=["not-this-tenants-book", "no-such-tenant"]
)
def test_what_the_tenant_does_not_sell_is_not_found(channel: grpc.Channel, book: str, tenant: str) -> None:
    get_book = catalog_pb2_grpc.CatalogStub(channel).GetBook
    with pytest.raises(grpc.RpcError) as refusal:
        get_book(catalog_pb2.GetBookRequest(id=book), metadata=(("x-ff-tenant", tenant),), timeout=TIMEOUT)
    assert isinstance(refusal.value, grpc.Call)
    assert refusal.value.code() is grpc.StatusCode.NOT_FOUND
    assert repr(tenant) in (refusal.value.details() or "")


def test_list_books_streams_the_books_that_match(channel: grpc.Channel) -> None:
    list_books = catalog_pb2_grpc.CatalogStub(channel).ListBooks
    request = catalog_pb2.ListBooksRequest(author="le guin")
    books = [answer.book.id for answer in list_books(request, metadata=ACME, timeout=TIMEOUT)]
    assert books == ["earthsea", "dispossessed"]


def test_list_books_refuses_a_limit_outside_its_range(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as refusal:
        list(catalog_pb2_grpc.CatalogStub(channel).ListBooks(catalog_pb2.ListBooksRequest(limit=-1), timeout=TIMEOUT))
    assert isinstance(refusal.value, grpc.Call)
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_chat_answers_each_message_before_the_next_is_sent(channel: grpc.Channel) -> None:
    messages: queue.SimpleQueue[catalog_pb2.ChatRequest | None] = queue.SimpleQueue()
    stub = catalog_pb2_grpc.CatalogStub(channel)
    conversation = stub.Chat(iter(messages.get, None), metadata=ACME, timeout=TIMEOUT)
    messages.put(catalog_pb2.ChatRequest(text="Herbert"))
    assert next(conversation).text == "By Herbert we have Dune."
    messages.put(catalog_pb2.ChatRequest(text="Tolstoy"))
    assert next(conversation).text == "Sorry, nothing by Tolstoy here."
    messages.put(None)
    assert list(conversation) == []


def test_health_is_serving_for_the_server_and_for_the_service(channel: grpc.Channel) -> None:
    for service in ("", "bookshop.v1.Catalog"):
        request = health_pb2.HealthCheckRequest(service=service)
        answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=TIMEOUT)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_reflection_lists_the_services(channel: grpc.Channel) -> None:
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    (answer,) = stub.ServerReflectionInfo(iter([request]), timeout=TIMEOUT)
    assert {"bookshop.v1.Catalog", "grpc.health.v1.Health"} <= {
        service.name for service in answer.list_services_response.service
    }


def test_the_committed_code_is_what_the_proto_generates(tmp_path: Path) -> None:
    committed = Path(catalog_pb2.__file__).parent
    kinds = ("python", "grpc_python", "mypy", "mypy_grpc")
    outputs = [f"--{kind}_out={'quiet:' if 'mypy' in kind else ''}{tmp_path}" for kind in kinds]
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{committed.parents[1]}", *outputs]
    # protoc finds its plugins on PATH.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    subprocess.run([*command, "bookshop/v1/catalog.proto"], check=True, env={**os.environ, "PATH": path})
    generated = {file.name: file.read_text() for file in (tmp_path / "bookshop/v1").iterdir()}
    assert generated == {file.name: file.read_text() for file in committed.glob("catalog_pb2*.py*")}
