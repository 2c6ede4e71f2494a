"""What a JSON Schema says together with what it refers to and what must hold besides.

In: a schema, its Tree, and the Memory that counts the steps. Out: one schema. Called by compatibility/jsonschema.
"""

from __future__ import annotations

from typing import Any

from fastforward_compiler.translate.document.schematree import Schema, Tree, as_schema

from .memory import Memory

LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", "minContains")
UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties", "maxContains")
_TOGETHER = {
    "additionalProperties": frozenset({"properties", "patternProperties", "additionalProperties"}),
    "items": frozenset({"prefixItems", "items"}),
}
"""A word, and those whose meaning hangs on it: it is about those of its own schema alone."""
_GROWING = ("allOf", "properties", "required")
"""What is written again for each part."""
_A_SCHEMA = 15
"""The steps that it takes to merge one."""


def merged(tree: Tree, schema: Schema, memory: Memory) -> Schema:
    """Returns what a schema says together with its `$ref` and `allOf`, as one; words that clash stay in `allOf`."""
    memory.spend(_A_SCHEMA)
    if "$ref" not in schema and "allOf" not in schema:
        return {word: value for word, value in schema.items() if word not in _NOTES}
    made: Schema = {}
    clashes: list[Schema] = []
    own = {word: value for word, value in schema.items() if word not in {"$ref", "allOf", *_NOTES}}
    parts = [own, *map(as_schema, schema.get("allOf", ())), *([tree.refers(schema)] if "$ref" in schema else ())]
    for part in parts:
        rest: Schema = {}
        words = part if part is own else merged(tree, part, memory)
        memory.spend(sum(len(each.get(word, ())) for each in (made, words) for word in _GROWING))
        apart = _apart(made, words)
        for word, value in words.items():
            if word == "allOf":
                clashes.extend(map(as_schema, value))
            elif word in apart or not _add(made, word, value):
                rest[word] = value
        if rest:
            clashes.append(rest)
    return {**made, "allOf": clashes} if clashes else made


_NOTES = frozenset({
    "$schema", "$id", "$anchor", "$comment", "$defs", "definitions", "title", "description", "default", "examples",
    "deprecated", "readOnly", "writeOnly",
})  # fmt: skip


def _apart(made: Schema, more: Schema) -> set[str]:
    """Words that would mean something else beside what there is."""
    words: set[str] = set()
    for word, hanging in _TOGETHER.items():
        mine, theirs = ({key: value for key, value in each.items() if key in hanging} for each in (made, more))
        if mine and theirs and mine != theirs and (word in mine or word in theirs):
            words |= theirs.keys()
    return words


def _add(made: Schema, word: str, value: Any) -> bool:  # noqa: ANN401 - of the word
    """Adds what is said; whether that can be done."""
    if word not in made:
        made[word] = value
    elif word == "required":
        made[word] = sorted({*made[word], *value})
    elif word == "properties":
        both = made[word].keys() & value.keys()
        made[word] = {**made[word], **value, **{name: {"allOf": [made[word][name], value[name]]} for name in both}}
    elif word in LOWER:
        made[word] = max(made[word], value)
    elif word in UPPER:
        made[word] = min(made[word], value)
    else:
        return made[word] == value
    return True
