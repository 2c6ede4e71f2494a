"""A Schema as adapters and stage 4 see it. Made by `snapshot`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fastforward.snapshot.v1 import snapshot_pb2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Schema:
    """Versions by name, oldest first. Compared by identity: an edit makes a new one, so what is derived can be kept."""

    name: str
    format: snapshot_pb2.SchemaFormat.ValueType
    versions: Mapping[str, bytes]


def compile_schema(name: str, wire: snapshot_pb2.Schema) -> Schema:
    """Returns the compiled Schema."""
    return Schema(name=name, format=wire.format, versions={each.name: each.document for each in wire.versions})
