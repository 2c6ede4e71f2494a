"""Lists in resources: how long they may be, and what tells their items apart.

In: annotations of list fields. Out: pydantic's checks, and the same for the API server (x-kubernetes-list-type).
Called by the kind modules. Why it exists: in lists declared `set` or `map` the API server refuses duplicates, and
merges item by item on server-side apply; so the models must refuse them too.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from keyword import iskeyword
from operator import attrgetter
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.alias_generators import to_snake
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

FIELD_MARK = "\x1f"
"""Parts the place below the list or model from the message, in an error raised here or by a broken rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """Bounds of a list. `distinct` items are all different; those with a `key` differ in that field."""

    most: int
    least: int = 0
    distinct: bool = False
    key: str = ""
    """Required field of the items, as it is written in documents."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        # A list from YAML becomes a tuple: the one conversion that strict models need.
        bounded: Any = handler(source) | {"max_length": self.most, "strict": False}
        if self.least:
            bounded["min_length"] = self.least
        if not (self.distinct or self.key):
            return bounded
        identity = attrgetter(_attribute(self.key)) if self.key else None
        return core_schema.no_info_after_validator_function(_refuse_duplicates(identity, self.key), bounded)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        if self.key:
            return handler(schema) | {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [self.key]}
        return handler(schema) | {"x-kubernetes-list-type": "set" if self.distinct else "atomic"}


def _attribute(field: str) -> str:
    """What a model calls the field; a word of the language has an underscore there."""
    name = to_snake(field)
    return f"{name}_" if iskeyword(name) else name


def _refuse_duplicates(
    identity: Callable[[Any], Hashable] | None, key: str
) -> Callable[[Sequence[Any]], Sequence[Any]]:
    def refuse(items: Sequence[Any]) -> Sequence[Any]:
        identities = items if identity is None else [identity(item) for item in items]
        if len(set(identities)) != len(items):
            raise ValueError(_duplicate(identities, key))
        return items

    return refuse


def _duplicate(identities: Sequence[Hashable], key: str) -> str:
    place = next(index for index, value in enumerate(identities) if value in identities[:index])
    below = f"[{place}].{key}" if key else f"[{place}]"
    return f"{below}{FIELD_MARK}{identities[place]} is there already: no two may be the same in this list."
