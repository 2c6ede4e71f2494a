"""Schemas of gRPC services for tests: protobuf source, as the descriptors that a Schema resource holds.

In: source. Out: a serialised FileDescriptorSet, and message classes of it. Called by tests of the gRPC adapter.
"""

from __future__ import annotations

import importlib.resources
import tempfile
from collections.abc import Mapping
from pathlib import Path

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import Message
from grpc_tools import protoc

ORDERS = """
syntax = "proto3";
package shop.v1;
import "google/api/annotations.proto";

service Orders {
  rpc Place(Order) returns (Placed) { option (google.api.http) = { post: "/orders" body: "*" }; }
  rpc Get(Which) returns (Placed) { option (google.api.http) = { get: "/orders/{id}" }; }
  rpc Amend(Change) returns (Placed) {
    option (google.api.http) = { patch: "/{name=shops/*}/orders" body: "order" response_body: "note" };
  }
  rpc Plain(Order) returns (Placed);
  rpc Unfillable(Order) returns (Placed) { option (google.api.http) = { get: "/v1/*/orders" }; }
  rpc PlaceAll(stream Order) returns (Placed) { option (google.api.http) = { post: "/batches" body: "*" }; }
  rpc List(Which) returns (stream Placed) { option (google.api.http) = { get: "/orders" }; }
  rpc Listen(Which) returns (stream Placed) { option (google.api.http) = { get: "/events" }; }
  rpc Converse(stream Order) returns (stream Placed) { option (google.api.http) = { post: "/orders" body: "*" }; }
}

message Order {
  string sku = 1;
  int32 quantity = 2;
  repeated Line order_lines = 3;
  bytes blob = 4;
}
message Line { string sku = 1; }
message Which {
  string id = 1;
  repeated string tags = 2;
  Line nested = 3;
}
message Change {
  string name = 1;
  Order order = 2;
}
message Placed {
  int64 order = 1;
  string note = 2;
  string message_id = 3;
}
"""


def descriptors(source: str = ORDERS, name: str = "shop.proto") -> bytes:
    """Compiles the source with all that it imports."""
    own, google = str(importlib.resources.files("grpc_tools") / "_proto"), importlib.resources.files("google.api")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, name).write_text(source)
        made = Path(folder, "made")
        includes = (folder, own, str(Path(str(google)).parent.parent))
        options = [f"-I{each}" for each in includes]
        assert protoc.main(["protoc", *options, "--include_imports", f"--descriptor_set_out={made}", name]) == 0
        return made.read_bytes()


def messages(document: bytes) -> Mapping[str, type[Message]]:
    """Message classes of a set's last file by their short names, apart from the adapter's own."""
    pool = descriptor_pool.DescriptorPool()
    files = FileDescriptorSet.FromString(document).file
    for file in files:
        pool.Add(file)
    last = files[-1]
    return {
        each.name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{last.package}.{each.name}"))
        for each in last.message_type
    }
