"""A Schema as EntryPoint sees it. In: ir.Schema. Out: snapshot_pb2.Schema. Called by emitter."""

from __future__ import annotations

from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_compiler import ir

_FORMATS = {
    "JSONSchema": snapshot_pb2.SCHEMA_FORMAT_JSON_SCHEMA,
    "Protobuf": snapshot_pb2.SCHEMA_FORMAT_PROTOBUF,
    "GraphQL": snapshot_pb2.SCHEMA_FORMAT_GRAPHQL,
}


def emit_schema(schema: ir.Schema) -> snapshot_pb2.Schema:
    """Returns the wire form."""
    return snapshot_pb2.Schema(
        format=_FORMATS[schema.format],
        versions=[
            snapshot_pb2.SchemaVersion(name=each.name, document=each.document, max_depth=each.max_depth)
            for each in schema.versions
        ],
    )
