"""Whether content written by one JSON Schema is read by another.

In: two Trees. Out: sentences with JSON pointers into the content (`*` for any item or field). Called by
translate/compatibility. Decided from what the schemas say, word by word: what can't be decided so counts as a break. As
in the lenient policy of Confluent's registry, a writer writes no fields that its schema does not name, so a field may
be added to an object that is open.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import combinations, product
from operator import itemgetter
from typing import Any

from fastforward_compiler.translate.document.schematree import FALSE, Schema, Tree, as_schema, inner, pointer_of

from .conjunction import LOWER, UPPER, merged
from .memory import Memory, TooMuchError, key_of

_TYPES = frozenset({"null", "boolean", "object", "array", "number", "string", "integer"})
_NAMES: dict[type, str] = {
    type(None): "null", bool: "boolean", int: "integer", str: "string", list: "array", dict: "object"
}  # fmt: skip
_SAME = (
    "pattern", "format", "not", "if", "then", "else", "contains", "propertyNames", "dependentRequired",
    "dependentSchemas", "unevaluatedProperties", "unevaluatedItems", "contentEncoding", "contentMediaType",
)  # fmt: skip
_IMPLICIT = {"minLength": 0, "minItems": 0, "minProperties": 0, "minContains": 1}
_BESIDE = ("allOf", "anyOf", "oneOf", "if", "then", "else", "dependentSchemas")
"""By which other schemas say something of the same place."""
_A_PAIR, _A_LOOK, _A_PATTERN = 50, 10, 3
"""The steps that it takes to compare two schemas, to look at two for one thing, and to look up a name or pattern."""
_FIELDS = frozenset({"properties", "patternProperties", "additionalProperties"})
_BEGINNING = re.compile(r"\^([\w -]*)(.?)", re.DOTALL)
"""What names begin with, and what follows it in the pattern."""


def compare_schemas(reader: Tree, writer: Tree) -> list[str]:
    """Returns what of the writer's the reader may refuse."""
    told: list[str] = []
    try:
        told.extend(_Comparison(reader, writer, Memory()).schemas(reader.root, writer.root, ""))
    except TooMuchError:
        told.append("/: there is too much to compare.")
    return told


class _Comparison:
    def __init__(self, reader: Tree, writer: Tree, memory: Memory, *, turned: bool = False) -> None:
        self._reader = reader
        self._writer = writer
        self._memory = memory
        self._turned = turned
        """Whether reader and writer have changed sides."""

    def schemas(self, read: Schema, written: Schema, at: str) -> Iterator[str]:
        """Yields what the one refuses and the other allows."""
        new, old = self._plain(read), merged(self._writer, written, self._memory)
        pair = self._turned, self._memory.key(new), self._memory.key(old)
        alike = pair[1] == pair[2] and not _refers(pair[1])
        if not new or old == FALSE or alike or pair in self._memory.pairs:
            return
        self._memory.spend(_A_PAIR)
        self._memory.pairs[pair] = None
        if new == FALSE:
            yield f"{at or '/'}: nothing is allowed any more."
            return
        yield from _values(new, old, at or "/")
        yield from self._whole_words(new, old, at or "/")
        yield from self._fields(new, old, at)
        yield from self._items(new, old, at)
        yield from self._choices(new, old, at)
        if "oneOf" in new and not self._excludes(new) and not self._corresponds(new, old, at):
            yield f"{at or '/'}: what was allowed may fit more than one oneOf."

    def fits(self, read: Schema, written: Schema, at: str) -> bool:
        """Whether one schema reads the other; pairs seen in vain are forgotten."""
        pairs = self._memory.pairs
        before = len(pairs)
        fits = next(self.schemas(read, written, at), None) is None
        while not fits and len(pairs) > before:
            pairs.popitem()
        return fits

    def _whole_words(self, new: Schema, old: Schema, at: str) -> Iterator[str]:
        """Compares words that only fit when they say the same."""
        for word in _SAME:
            if word in new and not self._are_alike(new, old, [word]):
                yield f"{at}: {word} has changed."
        for word in ("unevaluatedProperties", "unevaluatedItems"):
            narrow = word in new and not _looked_at(old) <= _looked_at(new)
            wide = any(as_schema(each.get(word, False)) != FALSE for each in _parts(old))
            if (
                narrow
                or (wide and not _looked_at(new) <= _looked_at(old))
                or ((wide or word in new) and not self._are_alike(new, old, (*_BESIDE, "contains")))
            ):
                yield f"{at}: what {word} is about has changed."

    def _are_alike(self, new: Schema, old: Schema, words: Sequence[str]) -> bool:
        """Whether both say the same by these words, also where `$ref` leads."""
        waiting = [tuple({word: each[word] for word in words if word in each} for each in (new, old))]
        followed: set[str] = set()
        while waiting:
            mine, theirs = waiting.pop()
            self._memory.spend(_A_LOOK)
            if self._memory.key(mine) != self._memory.key(theirs):
                return False
            if "$ref" in mine and mine["$ref"] not in followed:
                followed.add(mine["$ref"])
                waiting.append((self._reader.refers(mine), self._writer.refers(theirs)))
            pairs = zip(*(sorted(inner(each), key=itemgetter(0)) for each in (mine, theirs)), strict=True)
            waiting.extend((as_schema(one), as_schema(other)) for (_, one), (_, other) in pairs)
        return True

    def _fields(self, new: Schema, old: Schema, at: str) -> Iterator[str]:
        for name in sorted(set(new.get("required", ())) - set(old.get("required", ()))):
            yield f"{at}{pointer_of([name])}: is required, and was not."
        more = new.get("properties", {}).keys() - old.get("properties", {}).keys() or "patternProperties" in new
        beside = [each for each in self._beside(old) if each.keys() & _FIELDS] if more else []
        for name in sorted(new.get("properties", {}).keys() | old.get("properties", {}).keys()):
            yield from self._field(name, new, old, beside, f"{at}{pointer_of([name])}")
        yield from self._patterns(new, old, beside, at)
        if _rest(new) == FALSE and _rest(old) != FALSE:
            yield f"{at or '/'}: other fields are refused, and were not."
        else:
            yield from self.schemas(_rest(new), _rest(old), f"{at}/*")

    def _field(self, name: str, new: Schema, old: Schema, beside: Sequence[Schema], at: str) -> Iterator[str]:
        mine, theirs = self._said(new, name), self._said(old, name)
        if not mine and _rest(new) == FALSE:
            yield f"{at}: is gone, and other fields are refused."
            return
        if not theirs and "additionalProperties" in old:
            theirs = [_rest(old)]
        written = [theirs[0] if len(theirs) == 1 else {"allOf": theirs}] if theirs else []
        if not theirs:
            for each in beside:
                written += self._said(each, name) or ([_rest(each)] if "additionalProperties" in each else [])
        for read, each in product(mine or [_rest(new)], written):
            yield from self.schemas(read, each, at)

    def _beside(self, schema: Schema) -> Iterator[Schema]:
        """Yields what else may say something of the fields that a writer writes."""
        judging = {word: schema[word] for word in _BESIDE if word in schema}
        for _, each in inner(judging):
            made = merged(self._writer, as_schema(each), self._memory)
            yield made
            yield from self._beside(made)

    def _patterns(self, new: Schema, old: Schema, beside: Sequence[Schema], at: str) -> Iterator[str]:
        """Compares what is said of names that no schema lists. Patterns are taken to meet unless it shows otherwise."""
        mine, theirs = (each.get("patternProperties", {}) for each in (new, old))
        for text, read in sorted(mine.items()):
            written = [theirs[text]] if text in theirs else list(self._said_by(text, old))
            if text not in theirs:
                written += [said for each in beside for said in (*self._listed(text, each), *self._said_by(text, each))]
            for each in written:
                yield from self.schemas(as_schema(read), as_schema(each), f"{at}/*")
        for text, each in sorted(theirs.items()):
            if text not in mine:
                yield from self.schemas(_rest(new), as_schema(each), f"{at}/*")

    def _said(self, schema: Schema, name: str) -> list[Schema]:
        """What is said of a field by its name, and by patterns that its name fits."""
        self._memory.spend(_A_PATTERN)
        said = [schema["properties"][name]] if name in schema.get("properties", ()) else []
        patterns = sorted(schema.get("patternProperties", {}).items())
        return [*map(as_schema, said), *(as_schema(each) for text, each in patterns if self._memory.takes(text, name))]

    def _listed(self, pattern: str, schema: Schema) -> Iterator[Schema]:
        """What is said of fields by such names."""
        fields = schema.get("properties", {}).items()
        return (as_schema(each) for name, each in fields if self._memory.takes(pattern, name))

    def _said_by(self, pattern: str, schema: Schema) -> Iterator[Schema]:
        """What may be said of other fields by such names."""
        patterns = schema.get("patternProperties", {})
        self._memory.spend(1 + _A_PATTERN * len(patterns))
        yield from (as_schema(patterns[text]) for text in sorted(patterns) if _may_meet(pattern, text))
        if "additionalProperties" in schema:
            yield _rest(schema)

    def _items(self, new: Schema, old: Schema, at: str) -> Iterator[str]:
        heads, before = new.get("prefixItems", ()), old.get("prefixItems", ())
        for index in range(max(len(heads), len(before))):
            read, written = (
                as_schema(
                    each["prefixItems"][index] if index < len(each.get("prefixItems", ())) else each.get("items", True)
                )
                for each in (new, old)
            )
            yield from self.schemas(read, written, f"{at}/{index}")
        yield from self.schemas(as_schema(new.get("items", True)), as_schema(old.get("items", True)), f"{at}/*")

    def _choices(self, new: Schema, old: Schema, at: str) -> Iterator[str]:
        for word in ("anyOf", "oneOf"):
            if word not in new:
                continue
            mine = [as_schema(each) for each in new[word]]
            words = [each for each in (word, "oneOf", "anyOf") if each in old]
            theirs = [as_schema(each) for each in old[words[0]]] if words else [old]
            for index, written in enumerate(theirs):
                if not any(self.fits(read, written, at) for read in mine):
                    which = f"alternative {index + 1}" if words else "what was allowed"
                    yield f"{at or '/'}: {which} fits no {word} any more."
        for read in new.get("allOf", ()):
            if not any(self.fits(as_schema(read), as_schema(each), at) for each in (*old.get("allOf", ()), old)):
                yield f"{at or '/'}: more is asked for (allOf)."

    def _excludes(self, schema: Schema) -> bool:
        """Whether it shows that no value fits two of its alternatives."""
        types = _types(schema)
        choices = [self._plain(each) for each in schema["oneOf"]]
        return all(self._are_apart(one, other, types) for one, other in combinations(choices, 2))

    def _are_apart(self, one: Schema, other: Schema, types: frozenset[str]) -> bool:
        self._memory.spend(_A_LOOK + len(one.get("required", ())) + len(other.get("required", ())))
        if self._are_plainly_apart(one, other, types):
            return True
        if types & _types(one) & _types(other) != {"object"}:
            return False
        if self._asks_for_refused(one, other) or self._asks_for_refused(other, one):
            return True
        names = set(one.get("required", ())) & set(other.get("required", ()))
        fields, others = one.get("properties", {}), other.get("properties", {})
        return any(
            self._are_plainly_apart(self._plain(fields[name]), self._plain(others[name]), _TYPES)
            for name in names & fields.keys() & others.keys()
        )

    def _asks_for_refused(self, one: Schema, other: Schema) -> bool:
        """Whether the one requires a field that the other refuses."""
        return any(FALSE in (self._said(other, name) or [_rest(other)]) for name in one.get("required", ()))

    def _are_plainly_apart(self, one: Schema, other: Schema, types: frozenset[str]) -> bool:
        """Whether it shows in types, or in values that are listed, that nothing of these types fits both."""
        if not types & _types(one) & _types(other):
            return True
        self._memory.spend(len(one.get("enum", ())) + len(other.get("enum", ())))
        mine, theirs = _enumerated_values(one), _enumerated_values(other)
        if mine is None or theirs is None or not all(isinstance(each, str | int | None) for each in (*mine, *theirs)):
            return False
        return not set(map(key_of, mine)) & set(map(key_of, theirs))

    def _plain(self, schema: Schema | bool) -> Schema:
        return merged(self._reader, as_schema(schema), self._memory)

    def _corresponds(self, new: Schema, old: Schema, at: str) -> bool:
        """Whether each alternative has one on the other side that allows the same."""
        turned = _Comparison(self._writer, self._reader, self._memory, turned=not self._turned)
        left = [as_schema(each) for each in new["oneOf"]]
        for written in map(as_schema, old.get("oneOf", ())):
            same = (each for each in left if self.fits(each, written, at) and turned.fits(written, each, at))
            found = next(same, None)
            if found is None:
                return False
            left.remove(found)
        return not left


def _values(new: Schema, old: Schema, at: str) -> Iterator[str]:
    lost = _types(old) - _types(new)
    if lost:
        yield f"{at}: the type {', '.join(sorted(lost))} is refused, and was not."
    allowed = _enumerated(new)
    if allowed is not None:
        before = _enumerated(old)
        if before is None or before - allowed:
            gone = "" if before is None else f": {', '.join(sorted(before - allowed))[:100]}"
            yield f"{at}: fewer values are allowed{gone}."
    yield from _bounds(new, old, at)


def _bounds(new: Schema, old: Schema, at: str) -> Iterator[str]:
    said = {**({"minContains": 1} if "contains" in new else {}), **new}
    for words, sign in ((LOWER, 1), (UPPER, -1)):
        for word in words:
            if word in said:
                before = old.get(word, _IMPLICIT.get(word))
                if before is None or said[word] * sign > before * sign:
                    yield f"{at}: {word} is {said[word]}, and was {'not there' if word not in old else before}."
    if "multipleOf" in new and ("multipleOf" not in old or old["multipleOf"] % new["multipleOf"]):
        yield f"{at}: multipleOf is {new['multipleOf']}, and was {old.get('multipleOf', 'not there')}."
    if new.get("uniqueItems") and not old.get("uniqueItems"):
        yield f"{at}: items must differ, and did not have to."


def _types(schema: Schema) -> frozenset[str]:
    said = schema.get("type")
    if said is None:
        values = _enumerated_values(schema)
        return _TYPES if values is None else frozenset(map(_type_of, values))
    types = frozenset([said] if isinstance(said, str) else said)
    return types | {"integer"} if "number" in types else types


def _type_of(value: object) -> str:
    if isinstance(value, float):
        return "integer" if value.is_integer() else "number"
    return _NAMES[type(value)]


def _enumerated_values(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    return schema.get("enum")


def _enumerated(schema: Schema) -> frozenset[str] | None:
    values = _enumerated_values(schema)
    return None if values is None else frozenset(map(key_of, values))


def _rest(schema: Schema) -> Schema:
    """What is said of fields that are not named."""
    return as_schema(schema.get("additionalProperties", True))


def _parts(schema: Schema) -> Iterator[Schema]:
    """All that holds wherever the schema does."""
    yield schema
    for each in schema.get("allOf", ()):
        yield from _parts(as_schema(each))


def _looked_at(schema: Schema) -> set[tuple[str, str | int]]:
    """The fields and items that a schema says something of by itself."""
    named = {(word, name) for word in ("properties", "patternProperties") for name in schema.get(word, ())}
    named |= {("prefixItems", index) for index in range(len(schema.get("prefixItems", ())))}
    return named | {(word, "") for word in ("additionalProperties", "items") if word in schema}


def _may_meet(one: str, other: str) -> bool:
    """Whether a name may fit both patterns: not if they begin with different texts."""
    mine, theirs = _beginning(one), _beginning(other)
    return mine.startswith(theirs) or theirs.startswith(mine)


def _beginning(pattern: str) -> str:
    found = _BEGINNING.match(pattern)
    if found is None or "|" in pattern:
        return ""
    return found[1][:-1] if found[2] in {"*", "+", "?", "{"} else found[1]


def _refers(key: str) -> bool:
    """Whether anything in a schema leads elsewhere, so that the same words may mean something else."""
    return '"$ref"' in key
