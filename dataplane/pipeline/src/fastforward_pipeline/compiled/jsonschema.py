"""One version of a JSON Schema (2020-12), ready to judge content and to bring it into its canonical form.

In: the document. Out: a JsonSchema. Called by compiled/schema when a snapshot comes; used by stage 4. Formats are
asserted. Regular expressions take time linear in the text, and nothing is ever fetched.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import islice
from typing import Any, NoReturn

import jsonschema_rs

from fastforward.snapshot.v1 import snapshot_pb2

from .place import Path, Place, Places, Unknown

MAX_VIOLATIONS = 20
MAX_DETAIL = 200
_UNKNOWN = {snapshot_pb2.UNKNOWN_FIELDS_DROP: Unknown.DROP, snapshot_pb2.UNKNOWN_FIELDS_REFUSE: Unknown.REFUSE}

Json = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """What breaks the schema: where (RFC 6901), the schema's own word for it, and a sentence."""

    pointer: str
    rule: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JsonSchema:
    """A version."""

    validator: jsonschema_rs.Draft202012Validator
    root: Place
    converts: bool
    """Whether it asks for a canonical form of any text."""
    max_depth: int
    """How deep content may be nested to be judged; 0 for no bound."""

    def check(self, value: Json) -> tuple[Violation, ...]:
        """Returns what breaks the schema in content as it is."""
        if self.max_depth and is_deeper(value, self.max_depth):
            return (_too_deep(self.max_depth),)
        if self.validator.is_valid(value):
            return ()
        return tuple(map(_violation, islice(self.validator.iter_errors(value), MAX_VIOLATIONS)))

    def fit(self, value: Json, unknown: snapshot_pb2.UnknownFields.ValueType) -> tuple[Json, tuple[Violation, ...]]:
        """Returns the content in its canonical form, and what breaks the schema. `value` is changed in place.

        What is checked is what goes on: unknown fields are gone by then, and texts in canonical form.
        """
        if self.max_depth and is_deeper(value, self.max_depth):
            return value, (_too_deep(self.max_depth),)
        doing = _UNKNOWN.get(unknown, Unknown.KEEP)
        unknown_at: list[Path] = []
        if self.converts or doing is not Unknown.KEEP:
            value = self.root.tidy(value, doing, None, unknown_at)
        if not unknown_at and self.validator.is_valid(value):
            return value, ()
        found = [_unknown(path) for path in unknown_at[:MAX_VIOLATIONS]]
        errors = islice(self.validator.iter_errors(value), MAX_VIOLATIONS - len(found))
        return value, (*found, *map(_violation, errors))


def compile_json_schema(document: bytes, max_depth: int) -> JsonSchema | None:
    """Returns the version; None for what is no schema that can be judged by."""
    try:
        schema = json.loads(document)
        validator = jsonschema_rs.Draft202012Validator(
            schema,
            validate_formats=True,
            retriever=_fetch_nothing,
            pattern_options=jsonschema_rs.RegexOptions(),
        )
        places = Places(schema)
    except (ValueError, jsonschema_rs.ValidationError, RecursionError):
        return None
    return JsonSchema(validator=validator, root=places.root, converts=places.converts, max_depth=max_depth)


def is_deeper(value: object, most: int) -> bool:
    """Whether there are more than `most` levels of lists and objects within each other."""
    level = [value]
    for _ in range(most + 1):
        level = [each for each in level if isinstance(each, (dict, list))]
        if not level:
            return False
        level = [inner for each in level for inner in (each.values() if isinstance(each, dict) else each)]
    return True


def pointer(path: list[str | int]) -> str:
    """Returns the JSON pointer (RFC 6901)."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)


def _fetch_nothing(uri: str) -> NoReturn:
    raise ValueError(f"{uri} is elsewhere")


def _violation(error: jsonschema_rs.ValidationError) -> Violation:
    path, word = list(error.instance_path), error.kind.name
    return Violation(pointer=pointer(path), rule=word, detail=_bounded(error.message))


def _bounded(text: str) -> str:
    return text if len(text) <= MAX_DETAIL else f"{text[: MAX_DETAIL // 2]} ... {text[-MAX_DETAIL // 2 :]}"


def _unknown(path: Path) -> Violation:
    parts: list[str | int] = []
    while path is not None:
        path, part = path
        parts.append(part)
    return Violation(pointer=pointer(parts[::-1]), rule="unknownFields", detail="The schema names no such field.")


def _too_deep(most: int) -> Violation:
    detail = f"The content is nested deeper than {most}, to which the schema can be checked."
    return Violation(pointer="", rule="maxDepth", detail=detail)
