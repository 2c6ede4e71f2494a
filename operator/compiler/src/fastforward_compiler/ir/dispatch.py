"""Destinations inside: messages, and the adapters that make them.

Made by translate/dispatch; read by emit. Durations are milliseconds; names are NAMESPACE/NAME.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaRef:
    """One version of a Schema."""

    schema: str
    """NAMESPACE/NAME."""
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gather:
    """To several Upstreams at once; `require` of them must answer."""

    parts: tuple[tuple[str, str], ...]
    """(Upstream, member of the reply); the Upstream is empty where it takes no messages."""
    deadline_ms: int
    """0 for the message's own."""
    require: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageDispatch:
    """As a message, by way of the decision service, to who takes it; to nobody without `upstream` and `gather`."""

    type: str
    upstream: str = ""
    delivery: str = "Call"
    """Call, or Command, which goes to the queue of its type."""
    event: str = ""
    request: SchemaRef | None = None
    reply: SchemaRef | None = None
    unknown_fields: str = "Keep"
    """Keep, Drop or Refuse."""
    key_required: bool = False
    gather: Gather | None = None
    """In place of `upstream`."""
    ingress: str = ""
    """The Upstream at which requests become messages; empty for the decision service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphqlLimits:
    """Bounds of queries."""

    depth: int
    complexity: int
    aliases: int
    batch: int
    page_size: int
    introspection: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterDispatch:
    """To an adapter of the decision service, whose operations take rules of `host`, or of the request's own."""

    protocol: str
    """GraphQL, GRPC or WebSocket."""
    schema: SchemaRef | None = None
    host: str = ""
    graphql: GraphqlLimits | None = None
    origins: tuple[str, ...] = ()
    """Of pages that may open connections, besides the host's own."""
    ingress: str = ""
    """The Upstream that has the adapter; empty for the decision service."""
