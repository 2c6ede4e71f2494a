"""What bodies of requests and answers must be, on the wire. Called by route."""

from __future__ import annotations

from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_compiler import ir


def emit_body(body: ir.Body) -> snapshot_pb2.BodyRules:
    """Returns the wire form."""
    schema = snapshot_pb2.SchemaVersionRef(schema=body.schema.schema, version=body.schema.version)
    return snapshot_pb2.BodyRules(schema=schema, max_bytes=body.max_bytes, shadow=body.shadow)
