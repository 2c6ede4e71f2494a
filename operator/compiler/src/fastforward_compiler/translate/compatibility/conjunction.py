"""What a JSON Schema says together with what it refers to and what must hold besides.

In: a schema, its Tree, and the Memory that counts the steps. Out: one schema. Called by compatibility/jsonschema.
"""

from __future__ import annotations

from typing import Any

from fastforward_compiler.translate.document.schematree import Schema, Tree, as_schema

from .memory import Memory

LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", "minContains")
UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties", "maxContains")
_TOGETHER = (
    ({"additionalProperties"}, {"properties", "patternProperties", "additionalProperties"}),
    ({"items"}, {"prefixItems", "items"}),
    ({"if", "then", "else"}, {"if", "then", "else"}),
    ({"contains", "minContains", "maxContains"}, {"contains", "minContains", "maxContains"}),
)
"""Words, and those whose meaning hangs on them: they are about those of their own schema alone."""
_UNEVALUATED = frozenset({"unevaluatedProperties", "unevaluatedItems"})
"""Words that are about all that is said in their own schema, however it is said."""
_GROWING = ("allOf", "properties", "required")
"""What is written again for each part."""
_A_SCHEMA = 15
"""The steps that it takes to merge one."""


def merged(tree: Tree, schema: Schema, memory: Memory) -> Schema:
    """Returns what a schema says together with its `$ref` and `allOf`, as one; words that clash stay in `allOf`."""
    memory.spend(_A_SCHEMA)
    if "$ref" not in schema and "allOf" not in schema:
        return {word: value for word, value in schema.items() if word not in _NOTES}
    mixed, whole = _parts(tree, schema, memory)
    if len(mixed) + len(whole) == 1:
        return (mixed or whole)[0]
    made: Schema = {}
    clashes = [*whole]
    for words in mixed:
        rest: Schema = {}
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


def _parts(tree: Tree, schema: Schema, memory: Memory) -> tuple[list[Schema], list[Schema]]:
    """Returns what may be taken together, and what would be about more then than it is."""
    own = {word: value for word, value in schema.items() if word not in {"$ref", "allOf", *_NOTES}}
    others = [*map(as_schema, schema.get("allOf", ())), *([tree.refers(schema)] if "$ref" in schema else ())]
    said = [merged(tree, each, memory) for each in others]
    mixed = [each for each in (own, *(each for each in said if not each.keys() & _UNEVALUATED)) if each]
    return mixed, [each for each in said if each.keys() & _UNEVALUATED]


_NOTES = frozenset({
    "$schema", "$id", "$anchor", "$comment", "$defs", "definitions", "title", "description", "default", "examples",
    "deprecated", "readOnly", "writeOnly",
})  # fmt: skip


def _apart(made: Schema, more: Schema) -> set[str]:
    """Words that would mean something else beside what there is."""
    words: set[str] = set()
    for about, hanging in _TOGETHER:
        mine, theirs = ({key: value for key, value in each.items() if key in hanging} for each in (made, more))
        if mine and theirs and mine != theirs and about & (mine.keys() | theirs.keys()):
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
