"""Bad input and faults of messages, over all protocols and through the real proxy: a typed error, and neighbours serve.

docs/operations/bad-messages.md says which test shows what.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from fastforward.message.v1 import dispatch_pb2, envelope_pb2, stage_pb2
from support.documents import Document
from support.four_protocols import PROTOCOLS, Told, over_rest, world
from support.gateway import Gateway, until
from support.message_target import ThreadedTarget, running_target
from support.messages import reply
from support.processes import free_port
from support.resources import resource, upstream

Send = Callable[..., Told]
JSON = {"content-type": "application/json"}
DEEP = "[" * 100_000
FORGED = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"


@pytest.fixture
def target(deciding_gateway: Gateway) -> Generator[ThreadedTarget]:
    with running_target() as running:
        sent: Document = {"type": "shop.orders.place", "upstream": {"name": "orders"}}
        deciding_gateway.apply(upstream("orders", running.port, protocol="GRPC"), *world(sent))
        yield running


@pytest.fixture(params=PROTOCOLS)
def send(request: pytest.FixtureRequest) -> Send:
    return PROTOCOLS[request.param]


@contextmanager
def stage_runner(free: threading.Event) -> Generator[int]:
    """Whoever answers for stages, nothing at all, when it is free to; its port."""

    def process(_: bytes, __: grpc.ServicerContext) -> bytes:
        free.wait(10)
        return stage_pb2.ProcessResponse().SerializeToString()

    server, port = grpc.server(ThreadPoolExecutor(2)), free_port()
    method = grpc.unary_unary_rpc_method_handler(process)
    service = grpc.method_handlers_generic_handler("fastforward.message.v1.StageService", {"Process": method})
    server.add_generic_rpc_handlers((service,))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield port
    finally:
        free.set()
        server.stop(None).wait()


def moved(port: int) -> tuple[Document, Document]:
    """Normalization, run by whoever is at the port."""
    said = {"component": "Stages", "stages": ["normalization"], "upstream": {"name": "runner"}}
    how = {"timeout": "300ms", "tries": 1}
    return upstream("runner", port, protocol="GRPC"), resource("Workload", "runner", {**said, "resilience": how})


def serves(gateway: Gateway, send: Send) -> None:
    assert until(lambda: send(gateway).content, lambda content: content == {"order": 7})


def test_a_target_that_takes_too_long_is_told_in_time(gateway: Gateway, target: ThreadedTarget, send: Send) -> None:
    how = {"component": "Target", "upstream": {"name": "orders"}, "resilience": {"timeout": "300ms", "tries": 1}}
    gateway.apply(resource("Workload", "orders", how))
    target.free.clear()
    told = send(gateway)
    assert told.code in {"504", "DEADLINE_EXCEEDED"}
    assert told.reason == "dispatch/out-of-time"
    target.free.set()
    serves(gateway, send)


def test_a_stage_that_is_not_there_is_told_and_nothing_goes_on_without_it(
    gateway: Gateway, target: ThreadedTarget, send: Send
) -> None:
    gateway.apply(*moved(free_port()))
    told = send(gateway)
    assert told.code in {"503", "UNAVAILABLE"}
    assert told.reason == "dispatch/unreachable"
    assert target.received == []


@pytest.mark.parametrize("speaks", [False, True], ids=["silent", "slow"])
def test_a_stage_that_takes_too_long_is_told_in_time(
    gateway: Gateway, target: ThreadedTarget, send: Send, *, speaks: bool
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, stage_runner(threading.Event()) as slow:
        gateway.apply(*moved(slow if speaks else silent.getsockname()[1]))
        told = send(gateway)
    assert told.code in {"504", "DEADLINE_EXCEEDED"}
    assert told.reason == "dispatch/out-of-time"
    assert target.received == []


def test_a_stage_that_answers_against_its_proto_is_told_and_nothing_goes_on(
    gateway: Gateway, target: ThreadedTarget, send: Send
) -> None:
    free = threading.Event()
    free.set()
    with stage_runner(free) as port:
        gateway.apply(*moved(port))
        told = send(gateway)
    assert told.code in {"502", "INTERNAL"}
    assert told.reason == "dispatch/stage-malformed"
    assert target.received == []


def answered(status: int = 200, body: bytes = b"{}", **fields: str) -> dispatch_pb2.HandleResponse:
    named = [envelope_pb2.Field(name=name.replace("_", "-"), value=value) for name, value in fields.items()]
    completion = envelope_pb2.Completion(status=status, fields=named)
    return dispatch_pb2.HandleResponse(reply=reply(body, completion=completion))


@pytest.mark.parametrize(
    "answer",
    [
        dispatch_pb2.HandleResponse(),
        answered(101, upgrade="websocket"),
        answered(location="/a\r\nset-cookie: b=c"),
        answered(body=b"{"),
        answered(body=DEEP.encode()),
    ],
    ids=["nothing", "an interim status", "a line break in a header", "garbage", "deeply nested"],
)
def test_an_answer_that_is_none_no_caller_sees(
    gateway: Gateway, target: ThreadedTarget, send: Send, answer: dispatch_pb2.HandleResponse
) -> None:
    good, target.answer = target.answer, answer
    told = send(gateway)
    assert told.code in {"502", "INTERNAL"}
    assert told.reason == "normalization/reply-malformed"
    target.answer = good
    serves(gateway, send)


def test_no_target_writes_the_answer_of_somebody_else(gateway: Gateway, target: ThreadedTarget) -> None:
    """A body where there is none, and lengths that are not true, would be read as the next answer on the connection."""
    good = target.answer
    for hostile in (
        answered(204, FORGED),
        answered(200, FORGED, content_length="0", transfer_encoding="chunked", connection="keep-alive"),
    ):
        hostile.reply.payload.media_type = "text/plain"
        for _ in range(20):
            target.answer = hostile
            first = gateway.request("POST", "/orders", headers=JSON, body=b"{}")
            assert (first.status, first.content) in {(204, b""), (200, FORGED)}
            target.answer = good
            assert over_rest(gateway).content == {"order": 7}


def over_http(gateway: Gateway, body: bytes) -> int:
    return gateway.request("POST", "/orders", headers=JSON, body=body).status


def announced(gateway: Gateway, body: bytes) -> int:
    """The answer to a request that says how large it will be."""
    head = f"POST /orders HTTP/1.1\r\nhost: example.com\r\ncontent-length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        connection.sendall(head.encode())
        return int(connection.recv(64).split()[1])


def as_graphql(gateway: Gateway, body: bytes) -> int:
    """What is wrong with a document is told with 200, as GraphQL has it: 400 stands for that here."""
    answer = gateway.request("POST", "/graphql", headers=JSON, body=body)
    return 400 if answer.status == 200 and "data" not in json.loads(answer.body) else answer.status


def in_a_frame(gateway: Gateway, text: bytes) -> int:
    """The status of the answer, or the code with which the connection is closed."""
    opened = socket.create_connection(("127.0.0.1", gateway.port))
    with connect("ws://example.com/live", sock=opened, subprotocols=[Subprotocol("fastforward.v1.json")]) as connection:
        try:
            connection.send(text, text=True)
            return json.loads(connection.recv(timeout=10))["status"]
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 1006


def framed(body: str) -> bytes:
    return f'{{"id": "1", "method": "POST", "path": "/orders", "body": {body}}}'.encode()


def asked(literal: str) -> bytes:
    return json.dumps({"query": f"mutation {{ placeOrder(input: {literal}) {{ order }} }}"}).encode()


@pytest.mark.parametrize(
    ("ask", "body", "told"),
    [
        pytest.param(over_http, b"{", {400}, id="REST no JSON"),
        pytest.param(over_http, DEEP.encode(), {400}, id="REST deeply nested"),
        pytest.param(over_http, b'{"sku": "\xff"}', {400}, id="REST no UTF-8"),
        pytest.param(over_http, b'{"sku": "\\ud800"}', {400}, id="REST half a character"),
        pytest.param(over_http, b'{"a":1,"a":2}', {400}, id="REST a name twice"),
        pytest.param(announced, b" " * (17 << 20), {413}, id="REST too large"),
        pytest.param(as_graphql, b"{", {400}, id="GraphQL no JSON"),
        pytest.param(as_graphql, DEEP.encode(), {400}, id="GraphQL deeply nested"),
        pytest.param(as_graphql, asked("{a: " * 5_000), {400}, id="GraphQL a deeply nested document"),
        pytest.param(as_graphql, b'{"query": "\xff"}', {400}, id="GraphQL no UTF-8"),
        pytest.param(as_graphql, b" " * (2 << 20), {413}, id="GraphQL too large"),
        pytest.param(in_a_frame, b"{", {400}, id="WebSocket no JSON"),
        pytest.param(in_a_frame, framed(DEEP), {400}, id="WebSocket deeply nested"),
        pytest.param(in_a_frame, b'{"id": "\xff"}', {1007}, id="WebSocket no UTF-8"),
        pytest.param(in_a_frame, framed('"\\ud800"'), {400}, id="WebSocket half a character"),
        pytest.param(in_a_frame, framed(f'"{"x" * (2 << 20)}"'), {1009}, id="WebSocket too large"),
    ],
)
def test_bad_input_is_told_and_reaches_nobody(
    gateway: Gateway, target: ThreadedTarget, ask: Callable[[Gateway, bytes], int], body: bytes, told: set[int]
) -> None:
    assert ask(gateway, body) in told
    assert target.received == []
    assert over_rest(gateway).content == {"order": 7}


def test_a_client_that_never_ends_its_request_disturbs_nobody(gateway: Gateway, target: ThreadedTarget) -> None:
    slow = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(50)]
    for number, each in enumerate(slow):
        whole = b"POST /orders HTTP/1.1\r\nhost: example.com\r\ncontent-length: 100\r\n\r\n{"
        each.sendall(whole[: 20 + number])
    for send in PROTOCOLS.values():
        assert send(gateway).content == {"order": 7}
    assert len(target.received) == len(PROTOCOLS)
    for each in slow:
        each.close()


def test_whoever_waits_when_entrypoint_is_killed_is_told_and_nothing_is_done_twice(
    gateway: Gateway, target: ThreadedTarget
) -> None:
    target.free.clear()
    with ThreadPoolExecutor(4) as pool:
        waiting = {name: pool.submit(send, gateway) for name, send in PROTOCOLS.items()}
        until(lambda: len(target.received) == len(PROTOCOLS))
        gateway.stack.stop_decision_service(kill=True)
        try:
            failed = {name: each.exception(timeout=15) or each.result() for name, each in waiting.items()}
        finally:
            target.free.set()
            gateway.stack.start_decision_service()
    assert isinstance(failed.pop("WebSocket"), ConnectionClosed)
    assert failed == {
        "REST": Told("503", "dispatch/connection-failed"),
        "GraphQL": Told("503", "dispatch/connection-failed"),
        "gRPC": Told("UNAVAILABLE"),
    }
    assert len(target.received) == len(PROTOCOLS)
    for send in PROTOCOLS.values():
        serves(gateway, send)
