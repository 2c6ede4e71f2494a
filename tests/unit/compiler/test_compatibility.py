"""Which versions of a JSON Schema fit each other: what reads all that was allowed, and what may refuse some of it."""

# ruff: noqa: ANN401 - documents are JSON

from __future__ import annotations

import json
from typing import Any

import pytest
from fastforward_compiler.translate.compatibility import find_breaks
from fastforward_compiler.translate.compatibility.jsonschema import compare_schemas
from fastforward_compiler.translate.document import read_document
from fastforward_compiler.translate.document.schematree import Tree

LINE = {"type": "object", "required": ["quantity"], "properties": {"quantity": {"type": "integer", "minimum": 1}}}


def breaks(mode: str, old: Any, new: Any) -> list[str]:
    parsed = []
    for each in (old, new):
        found = read_document("JSONSchema", json.dumps(each))
        assert not isinstance(found, str), found
        parsed.append(found.parsed)
    return find_breaks("JSONSchema", mode, *parsed)


TEXT, INT = {"type": "string"}, {"type": "integer"}
OTHER = {"oneOf": [{"required": ["card"]}, {"required": ["cash"]}]}

CLOSED = {"properties": {"a": TEXT}, "additionalProperties": False}
EITHER = {"anyOf": [{"properties": {"a": TEXT}}, {"patternProperties": {"^x": {"type": "boolean"}}}]}
LEFT = {"unevaluatedProperties": False}
REF = {"$ref": "#/$defs/a"}


def _with(named: Any, schema: Any) -> Any:
    return {**schema, "$defs": {"a": named}}


def _kind(*kinds: str, **more: Any) -> Any:
    """An object that says by a field which alternative it is."""
    shape = {"type": "object", "required": ["kind"], "properties": {"kind": {"enum": [*kinds]}}, **more}
    return {word: value for word, value in shape.items() if value}


def _one_of(*choices: Any) -> Any:
    return {"oneOf": [*choices]}


def _only(name: str, *more: str) -> Any:
    """Fields of which one is required, and no others."""
    return {"required": [name], "properties": dict.fromkeys((name, *more), TEXT), "additionalProperties": False}


B = {"properties": {"b": TEXT}}


def _all(*parts: Any) -> Any:
    return {"allOf": [*parts]}


def _when(kind: str, *names: str) -> Any:
    return {"if": _kind(kind), "then": {"required": [*names]} if names else {}}


def _some(value: int, least: int) -> Any:
    return {"contains": {"const": value}, "minContains": least}


JSON_BREAKS: list[tuple[Any, Any, str]] = [
    ({"properties": {}}, {"required": ["a"]}, "/a: is required"),
    ({"type": ["string", "null"]}, {"type": "string"}, "/: the type null"),
    ({"type": "number"}, {"type": "integer"}, "/: the type number"),
    ({}, {"type": "string"}, "/: the type"),
    ({"enum": ["a", "b"]}, {"enum": ["a"]}, 'fewer values are allowed: "b"'),
    ({"type": "string"}, {"type": "string", "const": "a"}, "fewer values"),
    ({"minimum": 1}, {"minimum": 2}, "minimum is 2, and was 1"),
    ({}, {"maxLength": 3}, "maxLength is 3, and was not there"),
    ({"maxItems": 3}, {"maxItems": 2}, "maxItems is 2"),
    ({}, {"minItems": 1}, "minItems is 1"),
    ({"multipleOf": 4}, {"multipleOf": 3}, "multipleOf is 3"),
    ({}, {"uniqueItems": True}, "items must differ"),
    ({"pattern": "a"}, {"pattern": "b"}, "pattern has changed"),
    ({}, {"format": "date"}, "format has changed"),
    ({}, {"additionalProperties": False}, "other fields are refused"),
    ({"properties": {"a": True}}, {"additionalProperties": False}, "/a: is gone, and other fields are refused"),
    ({"properties": {"a": {"type": "string"}}}, {"properties": {"a": {"type": "integer"}}}, "/a: the type string"),
    ({"items": {"minimum": 1}}, {"items": {"minimum": 2}}, "/*: minimum"),
    ({"prefixItems": [True]}, {"prefixItems": [{"type": "null"}]}, "/0: the type"),
    ({"additionalProperties": {"minimum": 1}}, {"properties": {"a": {"minimum": 2}}}, "/a: minimum"),
    ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"anyOf": [{"type": "string"}]}, "alternative 2 fits no anyOf"),
    ({}, {"oneOf": [{"type": "string"}]}, "what was allowed fits no oneOf"),
    ({}, False, "nothing is allowed"),
    ({"patternProperties": {"^a": True}}, {"patternProperties": {"^a": {"minimum": 1}}}, "/*: minimum"),
    (
        {"$ref": "#/$defs/l", "$defs": {"l": {"items": {"$ref": "#/$defs/l"}}}},
        {"$ref": "#/$defs/l", "$defs": {"l": {"items": {"$ref": "#/$defs/l"}, "maxItems": 3}}},
        "/: maxItems",
    ),
    ({"allOf": [{"minimum": 1}]}, {"allOf": [{"minimum": 1}, {"maximum": 3}]}, "maximum is 3"),
    ({"not": {"const": 1}}, {"not": {"type": "integer"}}, "not has changed"),
    # Names that patterns fit.
    ({"properties": {"note": TEXT}}, {"properties": {"note": TEXT}, "patternProperties": {"^n": INT}}, "/note: the"),
    ({"properties": {"note": TEXT}}, {"patternProperties": {"o": INT}}, "/note: the type string"),
    ({"patternProperties": {"^amount": TEXT}}, {"properties": {"amount": INT}}, "/amount: the type string"),
    ({"patternProperties": {"^a": TEXT}}, {"patternProperties": {"t$": INT}}, "/*: the type string"),
    ({"patternProperties": {"^ab*": TEXT}}, {"patternProperties": {"^ac": INT}}, "/*: the type string"),
    ({"patternProperties": {"^a|b": TEXT}}, {"patternProperties": {"^b": INT}}, "/*: the type string"),
    ({"patternProperties": {"^a": TEXT}}, {"additionalProperties": INT}, "/*: the type string"),
    (
        {"patternProperties": {"^a": TEXT}, "additionalProperties": False},
        {"additionalProperties": False},
        "/*: nothing",
    ),
    ({"additionalProperties": TEXT}, {"patternProperties": {"^a": INT}}, "/*: the type string"),
    ({"additionalProperties": TEXT}, {"properties": {"a": TEXT}, "patternProperties": {"^a": INT}}, "/a: the type"),
    # Values that fit one alternative, and would fit two.
    ({"oneOf": [INT, TEXT]}, {"oneOf": [INT, {"type": "number"}, TEXT]}, "may fit more than one oneOf"),
    ({"oneOf": [INT, TEXT]}, {"oneOf": [{"type": "number"}, {"type": ["integer", "string"]}]}, "more than one oneOf"),
    ({"oneOf": [{"const": 1}]}, {"oneOf": [{"const": 1}, {"const": 1.0}]}, "more than one oneOf"),
    ({"anyOf": [INT, {"minimum": 1}]}, {"oneOf": [INT, {"minimum": 1}]}, "more than one oneOf"),
    (INT, {"oneOf": [INT, {"maximum": 5}]}, "more than one oneOf"),
    ({"oneOf": [_kind("a"), _kind("b")]}, {"oneOf": [_kind("a"), _kind("b", "c"), _kind("c")]}, "more than one oneOf"),
    ({"oneOf": [_kind("a", type=[])]}, {"oneOf": [_kind("a", type=[]), _kind("b", type=[])]}, "more than one oneOf"),
    (
        {"type": "object", **_one_of(_only("a"), _only("b"))},
        {"type": "object", **_one_of(_only("a", "b"), {**_only("b", "note"), "additionalProperties": {}})},
        "more than one oneOf",
    ),
    (
        {"type": "object", **_one_of(_only("a"), _only("b"))},
        {"type": "object", **_one_of(_only("a", "b"), {**_only("b"), "patternProperties": {"^a$": {}}})},
        "more than one oneOf",
    ),
    (_one_of(_only("a"), _only("b")), _one_of(_only("a", "note"), _only("b")), "more than one oneOf"),
    # Words that mean something else by what is beside them, or elsewhere.
    (_with(INT, {"not": REF}), _with({}, {"not": REF}), "not has changed"),
    (_with(INT, {"if": {"items": REF}}), _with(TEXT, {"if": {"items": REF}}), "if has changed"),
    (CLOSED, {"allOf": [{"properties": {"a": TEXT}}, {"additionalProperties": False}]}, "more is asked for (allOf)"),
    ({"prefixItems": [TEXT], "items": INT}, {"allOf": [{"prefixItems": [TEXT]}, {"items": INT}]}, "more is asked for"),
    ({"properties": {"a": TEXT}, **LEFT}, LEFT, "what unevaluatedProperties is about has changed"),
    ({"anyOf": [{"properties": {"a": TEXT}}], **LEFT}, LEFT, "what unevaluatedProperties is about has changed"),
    ({"unevaluatedProperties": TEXT}, {"properties": {"a": INT}}, "what unevaluatedProperties is about has changed"),
    ({"prefixItems": [TEXT], "unevaluatedItems": False}, {"unevaluatedItems": False}, "what unevaluatedItems is about"),
    (_all(_when("a", "x"), _when("b", "y")), _all(_when("a", "x"), _when("b", "x")), "more is asked for"),
    (_all(_when("a", "x"), _when("b")), _all(_when("a", "x"), _when("b", "x")), "more is asked for"),
    (_all(_when("a", "x"), {"then": {"required": ["x"]}}), _all(_when("a", "x"), _when("b", "x")), "more is asked for"),
    (_some(1, 0), {"contains": {"const": 1}}, "minContains is 1, and was 0"),
    (_some(1, 0), _some(1, 1), "minContains is 1, and was 0"),
    (_all(_some(1, 1), _some(2, 2)), _all(_some(1, 2), _some(2, 1)), "minContains is 2, and was 1"),
    (_all({"minContains": 2}, _some(1, 1)), _all(_some(1, 2)), "contains has changed"),
    ({"properties": {"a": TEXT, "b": TEXT}, **LEFT}, _all({"properties": {"a": TEXT}, **LEFT}, B), "more is asked for"),
    ({"properties": {"a": TEXT, "b": TEXT}, **LEFT}, _all(B, {"properties": {"a": TEXT}, **LEFT}), "more is asked for"),
    ({"properties": {"b": TEXT}, **LEFT}, _all(LEFT, B), "more is asked for"),
    (_all({"unevaluatedProperties": TEXT}, B), {"properties": {"a": INT, "b": TEXT}}, "is about has changed"),
    (_all({"allOf": [{"unevaluatedProperties": TEXT}, B], **LEFT}, B), {"properties": {"a": INT}}, "is about has"),
    ({"prefixItems": [TEXT]}, _all({"unevaluatedItems": False}, {"prefixItems": [TEXT]}), "more is asked for"),
    # Fields that only alternatives name.
    (EITHER, {**EITHER, "properties": {"a": INT}}, "/a: the type string"),
    (EITHER, {**EITHER, "patternProperties": {"^a": INT}}, "/*: the type string"),
    (EITHER, {**EITHER, "patternProperties": {"^x": INT}}, "/*: the type boolean"),
    ({"anyOf": [{"oneOf": [REF]}], "$defs": {"a": CLOSED}}, {"properties": {"a": INT}}, "/a: the type string"),
    ({"if": CLOSED, "then": {"minProperties": 1}}, {"properties": {"a": INT}}, "/a: the type string"),
    ({"dependentSchemas": {"b": CLOSED}}, {"properties": {"a": INT}}, "/a: the type string"),
]


@pytest.mark.parametrize(("old", "new", "told"), JSON_BREAKS, ids=json.dumps)
def test_json_schemas_that_refuse_what_was_allowed_are_told(old: Any, new: Any, told: str) -> None:
    assert told in " ".join(breaks("Backward", old, new))
    assert told in " ".join(breaks("Forward", new, old))
    assert told in " ".join(breaks("Full", old, new))
    assert breaks("None", old, new) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (LINE, LINE),
        (LINE, {**LINE, "required": []}),
        (LINE, {"allOf": [LINE]}),
        (LINE, {"$ref": "#/$defs/line", "$defs": {"line": LINE}}),
        (LINE, {**LINE, "properties": {**LINE["properties"], "note": {"type": "string"}}}),
        ({"type": "integer"}, {"type": "number"}),
        ({"enum": ["a"]}, {"enum": ["a", "b"]}),
        ({"enum": ["a"]}, {"type": "string"}),
        ({"const": 1}, {"type": "integer"}),
        ({"minimum": 2, "maxLength": 3}, {"minimum": 1, "maxLength": 4}),
        ({"multipleOf": 6}, {"multipleOf": 3}),
        ({"anyOf": [{"type": "string"}]}, {"anyOf": [{"type": "null"}, {"type": "string"}]}),
        ({"type": "string"}, {"anyOf": [{"type": "null"}, {"type": "string"}]}),
        (
            {"additionalProperties": False, "properties": {"a": True}},
            {"properties": {"a": True, "b": {"type": "null"}}},
        ),
        (False, LINE),
        (LINE, True),
        ({"title": "a", "default": 1}, {"title": "b"}),
        ({"$ref": "#/$defs/l", "$defs": {"l": {"items": {"$ref": "#/$defs/l"}}}}, {"items": {"items": {}}}),
        ({"properties": {"a": TEXT}}, {"properties": {"a": TEXT}, "patternProperties": {"^n": INT}}),
        ({"properties": {"note": INT}}, {"patternProperties": {"^n": INT}, "additionalProperties": True}),
        ({"properties": {"a1": INT}}, {"patternProperties": {"[0-9]$": {"type": "number"}}}),
        ({"patternProperties": {"^a-": TEXT}}, {"patternProperties": {"^a-": TEXT, "^b-": INT}}),
        ({"patternProperties": {"^a": TEXT}}, {"patternProperties": {"^a": TEXT}, "properties": {"b": INT}}),
        ({"patternProperties": {"^a": INT, "1$": {"minimum": 3}}}, {"properties": {"a1": {"minimum": 2}}}),
        ({"additionalProperties": False}, {"patternProperties": {"^a": INT}}),
        ({"oneOf": [INT, TEXT]}, {"oneOf": [TEXT, {"type": "null"}, {"type": "number"}]}),
        ({"oneOf": [{"const": 1}, {"enum": ["1"]}]}, {"oneOf": [{"const": 1}, {"enum": ["1", "2"]}, {"const": 2}]}),
        ({"oneOf": [INT, TEXT]}, {"anyOf": [INT, {"type": "number"}, TEXT]}),
        ({"oneOf": [_kind("a"), _kind("b")]}, {"oneOf": [_kind("a"), _kind("b", title="B"), _kind("c")]}),
        (
            {"type": "object", **_one_of(_only("email"), _only("phone"))},
            {"type": "object", **_one_of(_only("email", "label"), _only("phone"), _only("fax"))},
        ),
        (
            {"type": "object", **_one_of(_only("a"), {"required": ["b"], "properties": {"a": False}})},
            {"type": "object", **_one_of({"required": ["a"]}, {"required": ["b"], "properties": {"a": False}})},
        ),
        ({"type": "object", **OTHER}, {**OTHER, "type": "object", "properties": {"note": TEXT}}),
        (_with(INT, {"not": REF}), {**_with(INT, {"not": REF}), "title": "x"}),
        (
            _with(INT, {"not": {"properties": {"a": REF, "b": TEXT}}}),
            {**_with(INT, {"not": {"properties": {"b": TEXT, "a": REF}}}), "title": "x"},
        ),
        ({"properties": {"a": TEXT}, **LEFT}, {"properties": {"a": TEXT, "b": INT}, **LEFT}),
        ({"properties": {"a": TEXT}, **LEFT}, {"properties": {"b": INT}}),
        ({"allOf": [CLOSED, {"minProperties": 1}]}, {"allOf": [{"minProperties": 1}, {**CLOSED, "title": "x"}]}),
        ({**CLOSED, "allOf": [{"required": ["a"]}]}, {**CLOSED, "allOf": [{"properties": {"a": TEXT}}]}),
        (_all(_when("a", "x"), _when("b", "y")), {**_all(_when("a", "x"), _when("b", "y")), "minItems": 0}),
        (_all(_when("a", "x"), _when("b", "y")), _all(_when("a", "x"))),
        (_all(_some(1, 1), _some(2, 2)), _all(_some(1, 1), _some(2, 1))),
        ({"contains": {"const": 1}}, _some(1, 1)),
        (_some(1, 1), {"contains": {"const": 1}, "minLength": 0}),
        ({**REF, "$defs": {"a": {**CLOSED, **LEFT}}}, {**CLOSED, **LEFT, "minItems": 0}),
        ({**CLOSED, **LEFT}, {**REF, "$defs": {"a": {**CLOSED, **LEFT}}, "description": "x"}),
        (_all({"properties": {"a": TEXT}, **LEFT}), {"properties": {"a": TEXT}, **LEFT, "title": "x"}),
        (_all({"properties": {"a": TEXT}, **LEFT}, B), {**_all(B, {"properties": {"a": TEXT}, **LEFT}), "title": "x"}),
        ({"properties": {"b": TEXT}, **LEFT}, {"properties": {"b": TEXT}, **_all(B), **LEFT}),
        (EITHER, {**EITHER, "properties": {"a": TEXT, "b": INT}, "patternProperties": {"^y": INT}}),
        (EITHER, {**EITHER, "properties": {"x": {"type": ["boolean", "string"]}}}),
        (OTHER, {"oneOf": [*reversed(OTHER["oneOf"])]}),
        (
            {"$ref": "#/$defs/t", "$defs": {"t": {"oneOf": [{"items": {"$ref": "#/$defs/t"}}, {"minLength": 3}]}}},
            {"$ref": "#/$defs/u", "$defs": {"u": {"oneOf": [{"minLength": 3}, {"items": {"$ref": "#/$defs/u"}}]}}},
        ),
    ],
    ids=json.dumps,
)
def test_json_schemas_that_allow_more_fit(old: Any, new: Any) -> None:
    assert breaks("Backward", old, new) == []


def _again(depth: int) -> Any:
    """Each leads twice to the next one: by the last, a place is judged more often than anybody counts."""
    leads = {f"s{each}": {"anyOf": [{"$ref": f"#/$defs/s{each + 1}"}] * 2} for each in range(depth)}
    return {"properties": {"a": {"properties": {"b": {"$ref": "#/$defs/s0"}}}}, "$defs": {**leads, f"s{depth}": {}}}


def _fields(count: int, schema: Any) -> Any:
    return {f"f{each}": schema for each in range(count)}


MANY = {"anyOf": [{"items": {"minItems": each}, "properties": {"a": TEXT}} for each in range(900)]}
ALL_OF = json.loads(json.dumps(_again(60)).replace("anyOf", "allOf"))
TOO_MUCH: list[tuple[Any, Any]] = [
    (_again(60), {"properties": {"a": {"properties": {"b": {"properties": {"c": INT}}}}}}),
    (_again(60), {"properties": {"a": {"properties": {"b": {"patternProperties": {"^c": INT}}}}}}),
    (ALL_OF, {"properties": {"a": {"properties": {"b": INT}}}}),
    (MANY, {**MANY, "properties": _fields(3000, INT)}),
    (MANY, {"anyOf": [{"required": [str(each)]} for each in range(900)]}),
    (
        {"oneOf": [{"const": each} for each in range(1500)]},
        {"oneOf": [{"const": each, "maxItems": 3} for each in range(1500)]},
    ),
    ({"properties": _fields(4000, INT)}, {"patternProperties": {f"^x{each}": INT for each in range(900)}}),
]


@pytest.mark.parametrize(
    ("old", "new"), TOO_MUCH, ids=["chain", "patterns", "parts", "fields", "alternatives", "apart", "names"]
)
def test_what_would_take_long_to_compare_is_told_instead(old: Any, new: Any) -> None:
    assert "/: there is too much to compare." in compare_schemas(Tree(new), Tree(old))


def test_alternatives_that_say_nothing_of_fields_cost_nothing_for_each_of_them() -> None:
    old = {"anyOf": [{"required": [str(each)]} for each in range(900)]}
    assert breaks("Backward", old, {"properties": _fields(1500, INT)}) == []


def test_large_schemas_are_compared() -> None:
    old = {"properties": _fields(1500, {"type": "string", "maxLength": 3})}
    new = {"properties": _fields(1500, {"type": "string", "maxLength": 4})}
    assert breaks("Backward", old, new) == []
    choices = [_kind(str(each)) for each in range(120)]
    assert breaks("Backward", {"oneOf": choices}, {"oneOf": [*choices, _kind("new")]}) == []
