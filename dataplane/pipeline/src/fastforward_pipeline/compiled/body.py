"""What bodies of proxied requests, and of answers, must be.

Made by compiled/route; asked by stages/body and responsebody.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastforward.snapshot.v1 import snapshot_pb2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BodyRules:
    """Of one rule."""

    schema: str
    """NAMESPACE/NAME."""
    version: str
    max_bytes: int
    shadow: bool


def compile_body(wire: snapshot_pb2.BodyRules) -> BodyRules:
    """Returns the compiled rules. Raises ValueError on what would judge nothing."""
    if not (wire.schema.schema and wire.max_bytes):
        raise ValueError("rules for bodies name no schema, or admit none")
    return BodyRules(
        schema=wire.schema.schema, version=wire.schema.version, max_bytes=wire.max_bytes, shadow=wire.shadow
    )
