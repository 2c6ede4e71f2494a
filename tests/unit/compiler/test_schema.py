"""Documents of Schemas: what is sound is taken, what is not is told with its place, and versions fit each other."""

# ruff: noqa: ANN401 - documents are JSON

from __future__ import annotations

import base64
import json
from typing import Any

import fastforward_crds as crds
import pytest
from fastforward_compiler import Compiler, object_ref
from fastforward_compiler.translate.compatibility import find_breaks
from fastforward_compiler.translate.document import Document, read_document
from google.protobuf import descriptor_pb2, text_format

from support.resources import resource

LINE = {"type": "object", "required": ["quantity"], "properties": {"quantity": {"type": "integer", "minimum": 1}}}
SDL = "type Query { orders(first: Int): [String!] }"


def read(format_: str, document: Any) -> Document:
    found = read_document(format_, document if isinstance(document, str) else json.dumps(document))
    assert isinstance(found, Document), found
    return found


def fault(format_: str, document: Any) -> str:
    found = read_document(format_, document if isinstance(document, str) else json.dumps(document))
    assert isinstance(found, str)
    return found


def descriptors(*files: str) -> str:
    described = descriptor_pb2.FileDescriptorSet()
    for each in files:
        described.file.append(text_format.Parse(each, descriptor_pb2.FileDescriptorProto()))
    return base64.b64encode(described.SerializeToString()).decode()


def proto(body: str) -> str:
    return descriptors(f'name: "shop.proto" package: "shop" syntax: "proto3" {body}')


def message(fields: str) -> str:
    return proto(f'message_type {{ name: "Order" {fields} }}')


def field(name: str, number: int, type_: str = "INT32", label: str = "OPTIONAL", more: str = "") -> str:
    return f'field {{ name: "{name}" number: {number} type: TYPE_{type_} label: LABEL_{label} {more} }}'


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ("{\n]", "no JSON at line 2, column 1"),
        ('{"a": 1, "a": 2}', "a key is given twice"),
        ('{"maximum": NaN}', "NaN is no JSON value"),
        ("3", "At the top: "),
        ({"properties": {"a": {"type": "strin"}}}, "At /properties/a/type: "),
        ({"pattern": "(?=a)"}, "At /pattern: "),
        ({"patternProperties": {"a(?!b)": True}}, "a(?!b)"),
        ({"$ref": "https://example.com/x"}, "At /$ref: https://example.com/x names no schema of the document"),
        ({"$ref": "#/$defs/none"}, "/$defs/none"),
        ({"items": {"$ref": "#/default"}, "default": {"type": "string"}}, "At /items/$ref: #/default names no schema"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "At /$schema: "),
        ({"$dynamicRef": "#x", "$dynamicAnchor": "x"}, "At /$dynamicRef: "),
        ({"$defs": {"a": {"$id": "https://example.com/a"}}}, "At /$defs/a/$id: "),
        ({"$ref": "#"}, "leads back to itself"),
        ({"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}}, "leads back to itself"),
        ({"anyOf": [{"minimum": number} for number in range(1200)]}, "more than 1000 times"),
        pytest.param("[" * 100_000, "no JSON that can be read", id="very deep"),
    ],
    ids=json.dumps,
)
def test_json_schemas_that_are_none_are_told_with_their_place(document: Any, told: str) -> None:
    assert told in fault("JSONSchema", document)


def test_a_document_nested_too_deep_is_refused() -> None:
    document: Any = True
    for _ in range(70):
        document = {"items": document}
    assert "nested deeper" in fault("JSONSchema", document)


@pytest.mark.parametrize(
    "document",
    [
        True,
        False,
        LINE,
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "https://example.com/order", **LINE},
        {"properties": {"$ref": {"const": "https://example.com"}, "$id": True}, "default": {"$ref": "x"}},
        {"$ref": "#a", "$defs": {"a": {"$anchor": "a"}, "b/c": {"$ref": "#/$defs/b~1c/items", "items": True}}},
    ],
    ids=json.dumps,
)
def test_sound_json_schemas_are_taken_as_they_are(document: Any) -> None:
    assert read("JSONSchema", document).wire == json.dumps(document).encode()


def test_a_schema_that_judges_a_place_again_and_again_bounds_the_depth_of_content() -> None:
    tree = {"anyOf": [{"type": "string"}, {"items": {"$ref": "#"}}]}
    assert read("JSONSchema", tree).max_depth == 0
    twice = {"allOf": [{"items": {"$ref": "#"}}, {"items": {"$ref": "#"}}]}
    assert 5 < read("JSONSchema", twice).max_depth < 10


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ("%%", "not in base64"),
        (base64.b64encode(b"\xff\xff").decode(), "no FileDescriptorSet"),
        ("", "describes no file"),
        (descriptors('name: "a.proto" dependency: "b.proto"'), "a.proto imports b.proto, which is not described"),
        (
            descriptors('name: "a.proto" dependency: "b.proto"', 'name: "b.proto" dependency: "a.proto"'),
            "import each other",
        ),
        (message(field("x", 1, "MESSAGE", more='type_name: ".shop.None"')), "shop.proto can't be resolved"),
    ],
)
def test_descriptors_that_do_not_resolve_are_told(document: str, told: str) -> None:
    assert told in fault("Protobuf", document)


def test_descriptors_may_come_in_any_order() -> None:
    read("Protobuf", descriptors('name: "a.proto" dependency: "b.proto"', 'name: "b.proto"'))


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ("type Query {\n  a: [\n}", "At line 3, column 1: "),
        ("type Query { a: None }", "At line 1, column 17: Unknown type 'None'"),
        ("type Other { a: Int }", "Query root type must be provided"),
        ("type Query { a: Int @other }", "Unknown directive '@other'"),
        (f"type Query {{ a: {'[' * 10_000} }}", "deep"),
    ],
    ids=lambda each: each[:60],
)
def test_sdl_that_is_none_is_told_with_its_place(document: str, told: str) -> None:
    assert told in fault("GraphQL", document)


def test_the_directive_http_may_be_used_or_defined() -> None:
    used = 'type Query { a: Int @http(method: "GET", path: "/a") }'
    read("GraphQL", used)
    read("GraphQL", f"directive @http(method: String!, path: String!) on FIELD_DEFINITION {used}")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (message(field("a", 1)), proto(""), "message shop.Order is gone"),
        (
            message(field("a", 1)),
            message(field("a", 1, "STRING")),
            "field 1 (a) of shop.Order was int32, and is string",
        ),
        (
            message(field("a", 1)),
            message(field("a", 2)),
            "field 2 (a) of shop.Order has a name that belonged to field 1",
        ),
        (message(field("a", 1)), message(field("a", 1, label="REPEATED")), "repeats"),
        (
            message(""),
            proto('message_type { name: "Order" enum_type { name: "E" value { name: "A" number: 0 } } }'),
            "",
        ),
        (
            proto('enum_type { name: "E" value { name: "A" number: 0 } value { name: "B" number: 1 } }'),
            proto('enum_type { name: "E" value { name: "A" number: 0 } }'),
            "value 1 (B) of shop.E is gone",
        ),
        (
            message(field("a", 1) + field("b", 2)),
            message(
                field("a", 1, more="oneof_index: 0") + field("b", 2, more="oneof_index: 0") + 'oneof_decl { name: "o" }'
            ),
            "fields a, b of shop.Order now exclude each other",
        ),
        (
            descriptors('name: "a" message_type { name: "M" }'),
            descriptors(f'name: "a" message_type {{ name: "M" {field("a", 1, label="REQUIRED")} }}'),
            "field 1 (a) of M is required",
        ),
        (
            proto(
                'message_type { name: "M" } service { name: "S" method { name: "C"'
                ' input_type: ".shop.M" output_type: ".shop.M" } }'
            ),
            proto('message_type { name: "M" }'),
            "method shop.S/C is gone",
        ),
        (message(field("a", 1)), message(field("b", 1, "INT64") + field("c", 2)), ""),
    ],
    ids=["gone", "type", "name", "label", "new enum", "enum", "oneof", "required", "method", "fits"],
)
def test_descriptors_that_read_the_wire_otherwise_are_told(old: str, new: str, told: str) -> None:
    found = find_breaks("Protobuf", "Backward", read("Protobuf", old).parsed, read("Protobuf", new).parsed)
    assert told in " ".join(found) if told else found == []


@pytest.mark.parametrize(
    ("new", "told"),
    [
        ("type Query { other: Int }", "Query.orders was removed"),
        ("type Query { orders(first: Int, at: Int!): [String!] }", "Query.orders(at:) was added"),
        ("type Query { orders(first: Int): [String!] more: Int }", ""),
    ],
)
def test_sdl_by_which_old_operations_fail_is_told(new: str, told: str) -> None:
    found = " ".join(find_breaks("GraphQL", "Backward", read("GraphQL", SDL).parsed, read("GraphQL", new).parsed))
    assert told in found.replace("'", "").replace('"', "") if told else found == ""


def compiled(*documents: Any, **spec: Any) -> tuple[list[str], list[str]]:
    """Versions that serve, and problems, of a JSON Schema with these versions."""
    versions = [{"name": f"v{place}", "document": json.dumps(each)} for place, each in enumerate(documents, 1)]
    schema = crds.parse_resource(
        resource("Schema", "order", {"format": "JSONSchema", "versions": versions, **spec}, namespace="shop")
    )
    compiler = Compiler()
    compiler.apply({object_ref(schema): schema})
    [report] = compiler.reports().values()
    told = [f"{each.reason} at {each.field}: {each.message}" for each in report.problems]
    made = compiler.snapshot().schemas
    return [each.name for schema in made for each in schema.versions], told


def test_a_version_that_breaks_its_promise_is_left_out_and_the_next_is_compared_with_the_last_good_one() -> None:
    serving, told = compiled({"minimum": 1}, {"minimum": 3}, {"minimum": 0})
    assert serving == ["v1", "v3"]
    where = "SchemaIncompatible at spec.versions[1].document: Version v2 does not fit version v1."
    assert told == [f"{where} Reading what the old one allowed: /: minimum is 3, and was 1."]


def test_what_is_owed_is_what_the_schema_says() -> None:
    assert compiled({"minimum": 1}, {"minimum": 0}, compatibility="Forward")[0] == ["v1"]
    assert compiled({"minimum": 1}, {"minimum": 3}, compatibility="Forward")[0] == ["v1", "v2"]
    assert compiled({"minimum": 1}, {"minimum": 3}, compatibility="Full")[0] == ["v1"]
    assert compiled({"minimum": 1}, {"minimum": 3}, compatibility="None")[0] == ["v1", "v2"]


def test_many_breaks_are_told_in_bounded_words() -> None:
    _, [told] = compiled({}, {"required": [f"f{number}" for number in range(50)]})
    assert "And 45 more." in told
    assert len(told) < 1000
