"""A gRPC service with methods for JSON, of each kind, and the Schema that describes it.

In: nothing. Out: descriptors, and a running server that notes what came. Called by tests of transcoding.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from support.grpc_schemas import descriptors, messages
from support.resources import Document, resource

SERVICE = "shop.v1.Shop"
SOURCE = """
syntax = "proto3";
package shop.v1;
import "google/api/annotations.proto";
import "google/rpc/error_details.proto";

// The shop.
service Shop {
  rpc Place(Order) returns (Placed) { option (google.api.http) = { post: "/orders" body: "*" }; }
  rpc Find(Which) returns (Placed) {
    option (google.api.http) = { get: "/orders/{id}" additional_bindings { get: "/v1/{id=shelves/*}:find" } };
  }
  rpc List(Which) returns (stream Placed) { option (google.api.http) = { get: "/orders" }; }
  rpc PlaceAll(stream Order) returns (Placed) { option (google.api.http) = { post: "/batches" body: "*" }; }
  rpc Plain(Order) returns (Placed);
}
service Other { rpc Do(Order) returns (Placed) { option (google.api.http) = { post: "/other" body: "*" }; } }

message Order { string sku = 1; int32 quantity = 2; }
message Which { string id = 1; int32 page_size = 2; }
enum State { UNKNOWN = 0; DONE = 1; }
message Placed { int64 order_id = 1; string note = 2; State state = 3; repeated string hints = 4; }
"""
DESCRIPTORS = descriptors(SOURCE)
MISSING, SLOW, HUGE = "missing", "slow", "huge"
"""What may be asked for to be answered otherwise: NOT_FOUND, never, by a great deal."""
HUGE_BYTES = 300_000

_TYPES = messages(DESCRIPTORS)


def shop_schema(document: bytes = DESCRIPTORS, *, name: str = "shop", format_: str = "Protobuf") -> Document:
    """The Schema of the service."""
    versions = [{"name": "v1", "document": base64.b64encode(document).decode()}]
    return resource("Schema", name, {"format": format_, "versions": versions})


@dataclass(slots=True)
class CalledShop:
    """A running server: each call that came, its message as text, and its metadata."""

    port: int = 0
    received: list[tuple[str, str]] = field(default_factory=list)
    metadata: list[Mapping[str, str]] = field(default_factory=list)

    def place(self, order: Any, context: grpc.ServicerContext) -> Message:  # noqa: ANN401 - of the test's own schema
        self._note("Place", order.sku, context)
        return _placed(order.quantity, order.sku)

    def find(self, which: Any, context: grpc.ServicerContext) -> Message:  # noqa: ANN401
        self._note("Find", which.id, context)
        match which.id:
            case "missing":
                context.abort_with_status(_missing())
            case "slow":
                ended = threading.Event()
                context.add_callback(ended.set)
                ended.wait()
            case "huge":
                return _placed(1, "x" * HUGE_BYTES)
        return _placed(7, f"{which.id} {which.page_size}")

    def list_some(self, which: Any, context: grpc.ServicerContext) -> Iterator[Message]:  # noqa: ANN401
        self._note("List", which.id, context)
        for number in range(which.page_size or 2):
            yield _placed(number, f"number {number}")

    def place_all(self, orders: Iterable[Any], context: grpc.ServicerContext) -> Message:
        skus = [order.sku for order in orders]
        self._note("PlaceAll", " ".join(skus), context)
        return _placed(len(skus), "all")

    def _note(self, method: str, said: str, context: grpc.ServicerContext) -> None:
        self.received.append((method, said))
        self.metadata.append({key: value for key, value in context.invocation_metadata() if isinstance(value, str)})


class _Refusal(grpc.Status):
    """NOT_FOUND, with details that say more (google.rpc.Status)."""

    def __init__(self, status: status_pb2.Status) -> None:
        self.code = grpc.StatusCode.NOT_FOUND
        self.details = status.message
        self.trailing_metadata = (("grpc-status-details-bin", status.SerializeToString()),)


def _missing() -> grpc.Status:
    status = status_pb2.Status(code=code_pb2.NOT_FOUND, message="There is no such order.")
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="SOLD_OUT", domain="shop"))
    return _Refusal(status)


def _placed(order_id: int, note: str) -> Message:
    return _TYPES["Placed"](order_id=order_id, note=note, state=1)


@contextmanager
def called_shop() -> Generator[CalledShop]:
    """The server, on a port of its own."""
    shop = CalledShop()
    server = grpc.server(ThreadPoolExecutor(4))
    unary, read, write = grpc.unary_unary_rpc_method_handler, _TYPES["Order"].FromString, _written
    handlers = {
        "Place": unary(shop.place, read, write),
        "Plain": unary(shop.place, read, write),
        "Find": unary(shop.find, _TYPES["Which"].FromString, write),
        "List": grpc.unary_stream_rpc_method_handler(shop.list_some, _TYPES["Which"].FromString, write),
        "PlaceAll": grpc.stream_unary_rpc_method_handler(shop.place_all, read, write),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    shop.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield shop
    finally:
        server.stop(0).wait()


def _written(message: Message) -> bytes:
    return message.SerializeToString()
