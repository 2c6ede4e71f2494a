"""Schema: what the content of messages must be, in versions that fit each other.

In: a Schema document. Out: `Schema`. Called by parse and by the compiler's translate/schema.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import StringConstraints

from .formats import Label
from .lists import Items
from .meta import Model, Resource

Document = Annotated[str, StringConstraints(min_length=1, max_length=1 << 18)]


class SchemaVersion(Model):
    """One version."""

    name: Label
    """Name, by which rules may ask for it."""
    document: Document
    """JSON Schema (2020-12) as JSON; SDL; a FileDescriptorSet in base64, as of `protoc --include_imports -o`."""


class SchemaSpec(Model):
    """What a Schema says."""

    format: Literal["JSONSchema", "Protobuf", "GraphQL"]
    """Language of its documents."""
    versions: Annotated[tuple[SchemaVersion, ...], Items(least=1, most=16, key="name")]
    """In the order of their making: the last one is the newest."""
    compatibility: Literal["None", "Backward", "Forward", "Full"] = "Backward"
    """What each version owes to the one before: Backward, readers of the new one read what the old one allowed;
    Forward, readers of the old one read the new one's; Full, both.
    """


class Schema(Resource):
    """What the content of messages must be."""

    kind: Literal["Schema"] = "Schema"
    spec: SchemaSpec
