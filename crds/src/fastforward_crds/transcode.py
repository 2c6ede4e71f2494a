"""Calls in gRPC made of requests in JSON, and JSON of what is answered.

In: `transcode` of a RouteRule. Out: `Transcode`. Called by route and by the compiler's translate/transcoding.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .dispatch import SchemaRef
from .formats import KEY, SERVICE
from .lists import Items
from .meta import Model


class Printing(Model):
    """How answers are written in JSON (proto3, "JSON Mapping")."""

    names: Literal["Json", "Proto"] = "Json"
    """Names of fields in lowerCamelCase, or as they stand in the schema."""
    defaults: bool = False
    """Whether fields are written that have the default value; lists that are empty are, too."""
    enums: Literal["Names", "Numbers"] = "Names"
    """Values of enumerations."""
    stream: Literal["Array", "Lines", "Events"] = "Array"
    """Answers of a stream: one array; one document a line; one event each (text/event-stream)."""


class Transcode(Model):
    """Requests in JSON become calls of the methods whose `google.api.http` their path and method fit: 404 for others.

    The path is the one that the client asked for. What is no JSON or no message is 400. A call that fails is answered
    by the status that its code stands for, and a google.rpc.Status in JSON. Calls in gRPC itself are refused here: they
    need a rule of their own.
    """

    schema_: Annotated[SchemaRef, Field(alias="schema")]
    """Schema with the format Protobuf."""
    services: Annotated[tuple[Annotated[str, SERVICE], ...], Items(most=16, distinct=True)] = ()
    """Which of its services; all of them when empty."""
    all_methods: bool = False
    """Whether methods without `google.api.http` may be called as well, by POST /PACKAGE.SERVICE/METHOD."""
    unknown_query: Literal["Reject", "Ignore"] = "Reject"
    """A parameter of the query that names no field: 400, or as if it were not there."""
    ignored_query: Annotated[tuple[Annotated[str, KEY], ...], Items(most=16, distinct=True)] = ()
    """Parameters of the query that are no fields, and may be there."""
    max_bytes: Annotated[int, Field(ge=1, le=16 << 20)] = 1 << 20
    """Largest body, which is held whole: 413 above. An answer of a message that is larger is 502."""
    printing: Printing = Printing()
    """How answers are written."""
