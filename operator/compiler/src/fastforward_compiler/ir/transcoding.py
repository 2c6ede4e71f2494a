"""Calls in gRPC made of requests in JSON. Made by translate/transcoding; read by emit. Sizes are bytes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcoding:
    """What a rule's requests become; what fits no method is refused."""

    schema: str
    """NAMESPACE/NAME of the Schema."""
    version: str
    descriptors: bytes
    """A FileDescriptorSet: each file after those that it imports, without what people wrote beside it."""
    services: tuple[str, ...]
    """Full names; at least one."""
    all_methods: bool = False
    """Whether methods without google.api.http are called by their own names."""
    rejects_unknown_query: bool = True
    ignored_query: tuple[str, ...] = ()
    max_bytes: int = 1 << 20
    proto_names: bool = False
    """Whether fields are called in JSON as in the schema."""
    writes_defaults: bool = False
    enum_numbers: bool = False
    stream: str = "Array"
    """Array, Lines or Events."""
