"""What a JSON Schema says of one place in the content: which fields it names there, and the form of texts.

In: a schema document that is sound (compiler: translate/document). Out: Places, by which content is tidied. Called by
compiled/jsonschema. Why it exists: a validator says whether content fits, not which fields nobody has named.

Named is a field that any schema applied there names: by `properties` or `patternProperties`, also through `$ref`,
`allOf`, `anyOf`, `oneOf`, `if`, `then`, `else` and `dependentSchemas`. A schema that has `additionalProperties` or
`unevaluatedProperties` says itself what becomes of others, and of a place where no field is named, any may be.
Texts have a canonical form only where a schema always applies, and nothing beside it looks at how they are written.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from enum import Enum
from typing import Any
from urllib.parse import unquote

import re2

NFC = "x-ff-nfc"
"""Keyword of ours: `true` asks for texts in Unicode's form NFC."""
_WRITTEN = frozenset({"enum", "const", "pattern", "minLength", "maxLength", "not"})
_ONE = (
    "additionalProperties",
    "contains",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
)
_LISTS, _MAPS = (
    ("allOf", "anyOf", "oneOf", "prefixItems"),
    ("$defs", "definitions", "dependentSchemas", "patternProperties", "properties"),
)
_ALWAYS, _SOMETIMES = ("allOf",), ("anyOf", "oneOf")
_SAYS = ("additionalProperties", "unevaluatedProperties")
_MOST_PLACES = 10_000
_MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]+))?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False

Schema = dict[str, Any]
Applied = tuple[Schema, bool]
"""A schema, and whether it applies in any case."""
Path = tuple["Path", str | int] | None
"""Where in the content: the place around it, and the name or number in that; None for the content itself."""


class Unknown(Enum):
    """What becomes of fields that nothing names."""

    KEEP = 1
    DROP = 2
    REFUSE = 3


class Places:
    """The places of one document, made when content first comes to them, and kept."""

    def __init__(self, document: Schema | bool) -> None:
        self._document = document
        self._known: dict[frozenset[tuple[int, bool]], Place] = {}
        self._patterns: dict[str, Any] = {}
        self._anchors: dict[str, Schema] = {}
        self.converts = False
        for schema in _walk(document):
            if "$anchor" in schema:
                self._anchors[f"#{schema['$anchor']}"] = schema
            self._patterns.update({text: re2.compile(text, _OPTIONS) for text in schema.get("patternProperties", ())})
            self.converts = self.converts or schema.get("format") == "date-time" or schema.get(NFC) is True
        self.root = self.at([(document, True)])

    def at(self, applied: Iterable[tuple[Schema | bool, bool]]) -> Place:
        """Returns the place to which these schemas apply."""
        whole: dict[int, Applied] = {}
        waiting = list(applied)
        while waiting:
            schema, always = waiting.pop()
            if isinstance(schema, dict) and (id(schema) not in whole or (always and not whole[id(schema)][1])):
                whole[id(schema)] = (schema, always)
                waiting.extend(self._beside(schema, always))
        key = frozenset((place, always) for place, (_, always) in whole.items())
        found = self._known.get(key)
        if found is None:
            found = Place(self, tuple(whole.values()))
            if len(self._known) < _MOST_PLACES:
                self._known[key] = found
        return found

    def matching(self, schema: Schema, name: str) -> Iterator[Schema | bool]:
        """Yields what `patternProperties` says of a field."""
        for text, inner in schema.get("patternProperties", {}).items():
            if self._patterns[text].search(name):
                yield inner

    def _beside(self, schema: Schema, always: bool) -> Iterator[tuple[Schema | bool, bool]]:
        """Yields the schemas that apply to the same place because this one does."""
        if "$ref" in schema:
            yield self._resolve(schema["$ref"]), always
        for word in _ALWAYS:
            yield from ((each, always) for each in schema.get(word, ()))
        for word in _SOMETIMES:
            yield from ((each, False) for each in schema.get(word, ()))
        for word in ("if", "then", "else"):
            if word in schema:
                yield schema[word], False
        yield from ((each, False) for each in schema.get("dependentSchemas", {}).values())

    def _resolve(self, ref: str) -> Schema | bool:
        """Returns what a reference within the document names. Raises ValueError for others."""
        if ref in self._anchors:
            return self._anchors[ref]
        found: Any = self._document
        try:
            for part in _parts(ref):
                found = found[int(part)] if isinstance(found, list) else found[part]
        except (LookupError, TypeError, ValueError) as error:
            raise ValueError(f"{ref} names nothing in the document") from error
        return found


class Place:
    """What schemas say of one place."""

    __slots__ = ("_applied", "_fields", "_form", "_items", "_places", "_prefix", "_strict")

    def __init__(self, places: Places, applied: tuple[Applied, ...]) -> None:
        self._places = places
        self._applied = applied
        self._fields: dict[str, Place | None] = {}
        """By name, of fields in `properties`; None for those that nothing names."""
        self._items: dict[int, Place] = {}
        self._prefix = max((len(schema.get("prefixItems", ())) for schema, _ in applied), default=0)
        """All items behind have the same place."""
        said = any(word in schema for schema, _ in applied for word in _SAYS)
        named = any(word in schema for schema, _ in applied for word in ("properties", "patternProperties"))
        self._strict = named and not said
        self._form = _form(applied)

    def tidy(self, value: Any, unknown: Unknown, at: Path, unknown_at: list[Path]) -> Any:  # noqa: ANN401 - JSON
        """Returns the value in its canonical form; where fields are refused that nothing names is added to
        `unknown_at`. Objects and lists are changed in place.
        """
        if isinstance(value, str):
            return value if self._form is None else self._form(value)
        if not self._applied:
            return value
        if isinstance(value, dict):
            self._tidy_fields(value, unknown, at, unknown_at)
        elif isinstance(value, list):
            for index, each in enumerate(value):
                value[index] = self._item(index).tidy(each, unknown, (at, index), unknown_at)
        return value

    def _tidy_fields(self, value: Schema, unknown: Unknown, at: Path, unknown_at: list[Path]) -> None:
        strict = self._strict and unknown is not Unknown.KEEP
        for name in list(value):
            place = self._field(name)
            if place is not None:
                value[name] = place.tidy(value[name], unknown, (at, name), unknown_at)
            elif strict and unknown is Unknown.DROP:
                del value[name]
            elif strict:
                unknown_at.append((at, name))

    def _field(self, name: str) -> Place | None:
        if name in self._fields:
            return self._fields[name]
        found: list[tuple[Schema | bool, bool]] = []
        listed = False
        for schema, always in self._applied:
            own = schema.get("properties", {})
            here = [own[name]] if name in own else []
            listed = listed or bool(here)
            here.extend(self._places.matching(schema, name))
            if not here:
                here = [schema[word] for word in _SAYS if word in schema]
            found.extend((each, always) for each in here)
        place = self._places.at(found) if found else None
        if listed:
            self._fields[name] = place
        return place

    def _item(self, index: int) -> Place:
        index = min(index, self._prefix)
        place = self._items.get(index)
        if place is None:
            place = self._items[index] = self._places.at(self._item_schemas(index))
        return place

    def _item_schemas(self, index: int) -> list[tuple[Schema | bool, bool]]:
        found: list[tuple[Schema | bool, bool]] = []
        for schema, always in self._applied:
            prefix = schema.get("prefixItems", ())
            if index < len(prefix):
                found.append((prefix[index], always))
            elif "items" in schema:
                found.append((schema["items"], always))
            elif "unevaluatedItems" in schema:
                found.append((schema["unevaluatedItems"], False))
            if "contains" in schema:
                found.append((schema["contains"], False))
        return found


def utc(text: str) -> str:
    """Returns a date and time (RFC 3339) in UTC with `Z`, without zeros at the end of its fraction. What is none, or
    has no such form in years 1 to 9999, stays as it is.
    """
    found = _MOMENT.fullmatch(text)
    if found is None:
        return text
    day, time, fraction, zone = found.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{time}{zone.upper()}").astimezone(UTC)
    except (ValueError, OverflowError):
        return text
    plain, fraction = moment.replace(tzinfo=None).isoformat(timespec="seconds"), (fraction or "").rstrip("0")
    return f"{plain}.{fraction}Z" if fraction else f"{plain}Z"


def _form(applied: tuple[Applied, ...]) -> Callable[[str], str] | None:
    """Returns the canonical form of texts; None where they stay as they are."""
    if any(_WRITTEN & schema.keys() for schema, _ in applied):
        return None
    always = [schema for schema, certain in applied if certain]
    if any(schema.get("format") == "date-time" for schema in always):
        return utc
    if any(schema.get(NFC) is True for schema in always):
        return _nfc
    return None


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _parts(ref: str) -> list[str]:
    """Returns the parts of a JSON pointer in a fragment."""
    if ref == "#":
        return []
    if not ref.startswith("#/"):
        raise ValueError(f"{ref} is elsewhere")
    return [part.replace("~1", "/").replace("~0", "~") for part in unquote(ref[2:]).split("/")]


def subschemas(schema: Schema) -> Iterator[tuple[str, Schema | bool]]:
    """Yields the schemas right within one, with the JSON pointer from it, without its first slash."""
    yield from ((word, schema[word]) for word in _ONE if word in schema)
    for word in _LISTS:
        yield from ((f"{word}/{index}", each) for index, each in enumerate(schema.get(word, ())))
    for word in _MAPS:
        for name, each in schema.get(word, {}).items():
            yield f"{word}/{name.replace('~', '~0').replace('/', '~1')}", each


def _walk(document: Schema | bool) -> Iterator[Schema]:
    """Yields every schema of a document."""
    waiting = [document]
    while waiting:
        schema = waiting.pop()
        if isinstance(schema, dict):
            yield schema
            waiting.extend(inner for _, inner in subschemas(schema))
