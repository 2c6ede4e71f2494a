"""Schemas ready to execute: made once for each version, kept as long as the version is.

In: the name and version that a rule says. Out: a Compiled. Called by the adapter for each request. A version that can't
be served is told in the log once; what was served before goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from fastforward_pipeline.compiled.schema import Schema
from graphql import GraphQLSchema, is_object_type

from .binding import Bound, SchemaError, bind
from .document import Documents
from .loading import resolve_bound, resolve_event, subscribe_bound

log = structlog.get_logger(__name__)
FindSchema = Callable[[str], Schema | None]


@dataclass(slots=True, eq=False)
class Compiled:
    """A schema, and the documents that fit it."""

    schema: GraphQLSchema
    documents: Documents = field(init=False)

    def __post_init__(self) -> None:
        self.documents = Documents(self.schema)


@dataclass(slots=True)
class _Kept:
    source: Schema
    making: asyncio.Future[Compiled]


def compile_sdl(sdl: bytes) -> Compiled:
    """Returns the schema of SDL, its bound fields resolved by messages. Raises SchemaError."""
    try:
        bound = bind(sdl.decode())
    except UnicodeDecodeError as error:
        raise SchemaError(("The document is not in UTF-8.",)) from error
    _attach(bound)
    return Compiled(bound.schema)


def _attach(bound: Bound) -> None:
    for (type_name, name), binding in bound.fields.items():
        type_ = bound.schema.type_map[type_name]
        assert is_object_type(type_)  # noqa: S101 - no other has bound fields
        field = type_.fields[name]
        if type_ is bound.schema.subscription_type:
            field.subscribe, field.resolve = subscribe_bound(binding), resolve_event
        else:
            field.resolve = resolve_bound(binding)


class Schemas:
    """Those in use, by name and version."""

    def __init__(self, find: FindSchema) -> None:
        self._find = find
        self._kept: dict[tuple[str, str], _Kept] = {}

    async def get(self, name: str, version: str) -> Compiled | None:
        """Returns the version, compiled; None when there is none that can be served.

        A large schema takes a second: that is spent in a thread, and others are served meanwhile.
        """
        source = self._find(name)
        if source is None or version not in source.versions:
            return None
        kept = self._kept.get((name, version))
        if kept is None or kept.source is not source:
            kept = self._renew(name, version, source, None if kept is None else kept.making)
        try:
            return await asyncio.shield(kept.making)
        except SchemaError:
            return None

    def _renew(self, name: str, version: str, source: Schema, before: asyncio.Future[Compiled] | None) -> _Kept:
        for key in [key for key in self._kept if self._find(key[0]) is None]:
            del self._kept[key]
        making = asyncio.ensure_future(self._make(name, version, source.versions[version], before))
        kept = self._kept[name, version] = _Kept(source, making)
        return kept

    async def _make(self, name: str, version: str, sdl: bytes, before: asyncio.Future[Compiled] | None) -> Compiled:
        try:
            return await asyncio.to_thread(compile_sdl, sdl)
        except SchemaError as error:
            log.error("schema can't be served", schema=name, version=version, why=list(error.problems))
            if before is None:
                raise
            return await asyncio.shield(before)
