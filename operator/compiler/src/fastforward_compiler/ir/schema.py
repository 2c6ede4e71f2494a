"""What the content of messages must be. Made by translate/schema; read by emit/decision."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaVersion:
    """JSON Schema and SDL are text in UTF-8, descriptors a serialised FileDescriptorSet."""

    name: str
    document: bytes
    max_depth: int = 0
    """Of JSON Schema: how deep content may be nested to be judged with bounded work; 0 for no bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """`format` is JSONSchema, Protobuf or GraphQL; the last version is the newest."""

    name: str
    """NAMESPACE/NAME."""
    format: str
    versions: tuple[SchemaVersion, ...]
