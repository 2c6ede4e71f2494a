"""Destinations of a rule beside Upstreams and answers: shards, messages, adapters.

Parts of a Route document. Called by route and by the compiler's translate/rule.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .durations import Period
from .formats import KEY, MESSAGE, ORIGIN, ExactHost, HeaderName, Label
from .lists import Items
from .meta import Model, Ref, Rule


class ShardDispatch(Model):
    """To the Shard that the request belongs to: its tenant's home shard, or else by consistent hashing over the key."""

    upstream: Label
    """Name under which each Shard lists the Upstream for this purpose."""
    key: Literal["Tenant", "Subject", "Header"] = "Tenant"
    """What is hashed for a request whose tenant has no home shard in the Route's namespace."""
    header: HeaderName | None = None
    """Header to hash, with `key: Header`."""

    rules_cel = (
        Rule(
            "has(self.header) == (self.key == 'Header')",
            "A header goes with key: Header, and only with it.",
            "header",
            lambda s: (s.header is not None) == (s.key == "Header"),
        ),
    )


class SchemaRef(Ref):
    """A Schema, or one version of it."""

    version: Label | None = None
    """Name of the version; the newest when absent."""


class GatherPart(Ref):
    """One of several Upstreams."""

    as_: Annotated[str, KEY, Field(alias="as")]
    """Name of the member of the reply that holds its answer."""


class Gather(Model):
    """To several Upstreams at once. The reply is an object with the answer of each one as a member."""

    upstreams: Annotated[tuple[GatherPart, ...], Items(least=1, most=16, key="as")]
    """Upstreams with the protocol GRPC that take the message."""
    deadline: Period | None = None
    """For how long they are waited for; as long as the message lasts when absent, and never longer."""
    require: Literal["All", "Any", "Some"] = "All"
    """How many must answer: all, one, or `least`. With fewer there is no reply, but 503; with enough, members of those
    that did not answer are absent.
    """
    least: Annotated[int, Field(ge=1, le=16)] | None = None
    """With Some: so many."""

    rules_cel = (
        Rule(
            "has(self.least) == (self.require == 'Some')",
            "least goes with require: Some, and only with it.",
            "least",
            lambda s: (s.least is not None) == (s.require == "Some"),
        ),
        Rule(
            "!has(self.least) || self.least <= size(self.upstreams)",
            "No more can be required than there are.",
            "least",
            lambda s: s.least is None or s.least <= len(s.upstreams),
        ),
    )


class MessageDispatch(Model):
    """As a message through all stages, to a workload that takes messages (fastforward.message.v1)."""

    type: Annotated[str, MESSAGE]
    """What the message is, in words of the domain."""
    upstream: Ref | None = None
    """Upstream with the protocol GRPC that takes it; without one, adapters can only listen for events of this type."""
    gather: Gather | None = None
    """Several Upstreams instead, whose answers are one reply."""
    delivery: Literal["Call", "Command"] = "Call"
    """By gRPC to the upstream, which answers; or by RabbitMQ, to whoever consumes commands of this type."""
    event: Annotated[str, MESSAGE] | None = None
    """Type of the event that is told when the message has been handled; its content is the reply's."""
    request: SchemaRef | None = None
    """JSONSchema that the content must keep."""
    reply: SchemaRef | None = None
    """JSONSchema that the reply's content must keep."""
    unknown_fields: Literal["Keep", "Drop", "Refuse"] = "Keep"
    """What becomes of fields that `request` does not name."""
    idempotency: Literal["Optional", "Required"] = "Optional"
    """Whether a message that changes something needs an `Idempotency-Key`: 400 without one."""

    rules_cel = (
        Rule(
            "!has(self.upstream) || !has(self.gather)",
            "A message goes to one upstream, or to several.",
            "gather",
            lambda s: s.upstream is None or s.gather is None,
        ),
        Rule(
            "self.delivery == 'Call' || (!has(self.upstream) && !has(self.gather) && !has(self.event))",
            "A Command goes to a queue: it has no upstream, and who handles it tells of it.",
            "delivery",
            lambda s: s.delivery == "Call" or (s.upstream is None and s.gather is None and s.event is None),
        ),
        Rule(
            "self.delivery == 'Call' || !self.type.endsWith('.dead')",
            "The last part of a Command's type is not `dead`: what is left aside has the queue of that name.",
            "type",
            lambda s: s.delivery == "Call" or not s.type.endswith(".dead"),
        ),
        Rule(
            "has(self.upstream) || has(self.gather) || self.delivery == 'Command' || "
            "(!has(self.event) && !has(self.request) && !has(self.reply))",
            "What nobody takes has no event, request or reply.",
            "upstream",
            lambda s: s.is_taken or (s.event is None and s.request is None and s.reply is None),
        ),
        Rule(
            "has(self.upstream) || has(self.gather) || self.delivery == 'Command' || self.idempotency == 'Optional'",
            "What nobody takes needs no key.",
            "idempotency",
            lambda s: s.is_taken or s.idempotency == "Optional",
        ),
        Rule(
            "has(self.request) || self.unknownFields == 'Keep'",
            "Only a request with a schema has unknown fields.",
            "unknownFields",
            lambda s: s.request is not None or s.unknown_fields == "Keep",
        ),
    )

    @property
    def is_taken(self) -> bool:
        """Whether somebody takes it."""
        return self.upstream is not None or self.gather is not None or self.delivery == "Command"


class GraphqlLimits(Model):
    """What a query may cost: judged before anything of it is executed."""

    depth: Annotated[int, Field(ge=1, le=100)] = 12
    """Fields within fields."""
    complexity: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    """One for each field, times the page sizes around it."""
    aliases: Annotated[int, Field(ge=0, le=1000)] = 30
    """Fields under another name."""
    batch: Annotated[int, Field(ge=1, le=100)] = 10
    """Operations in one request."""
    page_size: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Largest `first`, `last` or `limit`."""
    introspection: bool = False
    """Whether clients may ask for the schema."""


class AdapterDispatch(Model):
    """To an adapter. Each operation that it finds in the request is what it would be in HTTP, and takes the rule of
    that: its policies, its message, its Upstream.
    """

    protocol: Literal["GraphQL", "GRPC", "WebSocket"]
    """Whose requests these are."""
    schema_: Annotated[SchemaRef | None, Field(alias="schema")] = None
    """Which operations there are: SDL with `@http(method:, path:)` on fields, or descriptors with google.api.http."""
    host: ExactHost | None = None
    """Host whose rules the operations take; the request's own when absent."""
    graphql: GraphqlLimits | None = None
    """Bounds of queries; the defaults when absent."""
    origins: Annotated[tuple[Annotated[str, ORIGIN], ...], Items(most=64, distinct=True)] = ()
    """Origins whose pages may open connections, besides those of the host itself: `https://shop.example.com`,
    `https://*.example.com`, or `*`."""

    rules_cel = (
        Rule(
            "has(self.schema) == (self.protocol != 'WebSocket')",
            "GraphQL and GRPC need a schema, and WebSocket has none.",
            "schema",
            lambda s: (s.schema_ is not None) == (s.protocol != "WebSocket"),
        ),
        Rule(
            "!has(self.graphql) || self.protocol == 'GraphQL'",
            "Only GraphQL has bounds of queries.",
            "graphql",
            lambda s: s.graphql is None or s.protocol == "GraphQL",
        ),
        Rule(
            "!has(self.origins) || size(self.origins) == 0 || self.protocol != 'GRPC'",
            "Pages open no connections by GRPC.",
            "origins",
            lambda s: not s.origins or s.protocol != "GRPC",
        ),
    )
