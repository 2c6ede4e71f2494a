"""A Schema as adapters and stage 4 see it. Made by `snapshot`, so that nothing is compiled for a message.

What the compiler admits can be compiled here. A version that can't, because it was written for a newer data plane, has
no `contents`: stage 4 refuses what it can't check, and everything else goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fastforward.snapshot.v1 import snapshot_pb2

from .jsonschema import JsonSchema, compile_json_schema


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Schema:
    """Versions by name, oldest first. Compared by identity: an edit makes a new one, so what is derived can be kept."""

    name: str
    format: snapshot_pb2.SchemaFormat.ValueType
    versions: Mapping[str, bytes]
    contents: Mapping[str, JsonSchema] = field(default_factory=dict)
    """Of JSON Schema: versions that content can be checked by."""


def compile_schema(name: str, wire: snapshot_pb2.Schema) -> Schema:
    """Returns the compiled Schema."""
    contents = {}
    if wire.format == snapshot_pb2.SCHEMA_FORMAT_JSON_SCHEMA:
        made = ((each.name, compile_json_schema(each.document, each.max_depth)) for each in wire.versions)
        contents = {version: content for version, content in made if content is not None}
    versions = {each.name: each.document for each in wire.versions}
    return Schema(name=name, format=wire.format, versions=versions, contents=contents)
