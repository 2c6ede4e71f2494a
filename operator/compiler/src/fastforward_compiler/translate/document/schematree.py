"""The schemas within a JSON Schema, which of them judge the same place, and which one below.

In: a document that its meta-schema admits. Out: a Tree. Called by document/jsonschema and compatibility.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote

Schema = dict[str, Any]

_ONE = ("not", "if", "then", "else")
_MANY = ("allOf", "anyOf", "oneOf")
_ITEMS = ("items", "unevaluatedItems")
_REST = ("additionalProperties", "unevaluatedProperties")
_UNKNOWN = ("$dynamicRef", "$recursiveRef", "$dynamicAnchor", "$recursiveAnchor")
TRUE: Schema = {}
FALSE: Schema = {"not": TRUE}


class TreeError(ValueError):
    """What is wrong with a document, and where."""

    def __init__(self, at: str, what: str) -> None:
        super().__init__(f"At {at or 'the top'}: {what}.")


class Tree:
    """The schemas of one document; `true` and `false` are read as schemas that say the same. Raises TreeError."""

    def __init__(self, document: Schema | bool) -> None:
        self._at: dict[int, tuple[str, Schema]] = {}
        self._places: dict[str, Schema] = {}
        self._anchors: dict[str, Schema] = {}
        self.root = as_schema(document)
        self._enter(self.root)
        for at, schema in self.schemas():
            if "$ref" in schema:
                self._find(at, schema["$ref"])
        self._order = self._sort()

    def schemas(self) -> Iterator[tuple[str, Schema]]:
        """Yields every schema with its JSON pointer."""
        yield from self._at.values()

    def inner_first(self) -> list[Schema]:
        """Returns every schema after all that judge the same place because of it."""
        return self._order

    def refers(self, schema: Schema) -> Schema:
        """Returns what its `$ref` names."""
        return self._find("", schema["$ref"])

    def beside(self, schema: Schema) -> Iterator[Schema]:
        """Yields the schemas that judge the same place because this one does."""
        if "$ref" in schema:
            yield self.refers(schema)
        yield from (as_schema(schema[word]) for word in _ONE if word in schema)
        yield from (as_schema(each) for word in _MANY for each in schema.get(word, ()))
        yield from map(as_schema, schema.get("dependentSchemas", {}).values())

    def below(self, schema: Schema) -> Iterator[list[Schema]]:
        """Yields groups of schemas, of each of which at most one judges a given place below."""
        yield list(map(as_schema, schema.get("properties", {}).values()))
        yield from ([as_schema(each)] for each in schema.get("patternProperties", {}).values())
        yield from ([as_schema(schema[word])] for word in _REST if word in schema)
        yield [
            *map(as_schema, schema.get("prefixItems", ())),
            *(as_schema(schema[each]) for each in _ITEMS if each in schema),
        ]
        if "contains" in schema:
            yield [as_schema(schema["contains"])]

    def _enter(self, root: Schema) -> None:
        waiting = [("", root)]
        while waiting:
            at, schema = waiting.pop()
            self._at[id(schema)] = at, schema
            self._places[f"#{at}"] = schema
            self._note(at, schema)
            waiting.extend((f"{at}/{path}", as_schema(each)) for path, each in inner(schema))
        for constant in (TRUE, FALSE):
            self._at.setdefault(id(constant), ("", constant))

    def _note(self, at: str, schema: Schema) -> None:
        for word in _UNKNOWN:
            if word in schema:
                raise TreeError(f"{at}/{word}", "this word is not known here; use $ref")
        if at and "$id" in schema:
            raise TreeError(f"{at}/$id", "a schema within another has no name of its own here; use $anchor")
        if "$anchor" in schema:
            self._anchors[f"#{schema['$anchor']}"] = schema

    def _find(self, at: str, ref: str) -> Schema:
        found = self._anchors.get(ref) or self._places.get(unquote(ref))
        if found is None and unquote(ref) not in self._places:
            raise TreeError(f"{at}/$ref", f"{ref[:100]} names no schema of the document, and nothing is fetched")
        return TRUE if found is None else found

    def _sort(self) -> list[Schema]:
        done: dict[int, bool] = {}
        order: list[Schema] = []
        waiting = [(schema, False) for _, schema in self._at.values()]
        while waiting:
            schema, left = waiting.pop()
            if left:
                done[id(schema)] = True
                order.append(schema)
            elif id(schema) not in done:
                done[id(schema)] = False
                waiting.append((schema, True))
                for each in self.beside(schema):
                    if done.get(id(each)) is False:
                        raise TreeError(
                            self._at[id(each)][0], "the schema leads back to itself without looking any deeper"
                        )
                    waiting.append((each, False))
        return order


def as_schema(schema: Schema | bool) -> Schema:
    """Returns `true` and `false` as schemas that say the same."""
    if isinstance(schema, dict):
        return schema
    return TRUE if schema else FALSE


def inner(schema: Schema) -> Iterator[tuple[str, Schema | bool]]:
    """Yields the schemas right within one, with the pointer from it."""
    for word in (*_ONE, *_ITEMS, *_REST, "contains", "propertyNames", "contentSchema"):
        if word in schema:
            yield word, schema[word]
    for word in (*_MANY, "prefixItems"):
        yield from ((f"{word}/{index}", each) for index, each in enumerate(schema.get(word, ())))
    for word in ("properties", "patternProperties", "dependentSchemas", "$defs", "definitions"):
        yield from ((f"{word}{pointer_of([name])}", each) for name, each in schema.get(word, {}).items())


def pointer_of(path: Iterable[str | int]) -> str:
    """Returns the JSON pointer (RFC 6901)."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)
