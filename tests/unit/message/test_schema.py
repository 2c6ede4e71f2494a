"""Content against the schema that its rule names: what passes keeps it, what does not is told field by field."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastforward_pipeline import Reason, Snapshot
from fastforward_pipeline.compiled.jsonschema import MAX_VIOLATIONS
from fastforward_pipeline.compiled.place import utc
from fastforward_pipeline.message import INBOUND, OUTBOUND, Asks, Failed, Passage, open_passage
from fastforward_pipeline.message.content import Broken, Content, Form, canonical
from hypothesis import given
from hypothesis import strategies as st

from fastforward.snapshot.v1 import snapshot_pb2 as pb
from support.decision_snapshots import NOW, host, plan, snapshot
from support.messages import TARGET, TYPE, envelope, new_seal, reply

KEEP, DROP, REFUSE = pb.UNKNOWN_FIELDS_KEEP, pb.UNKNOWN_FIELDS_DROP, pb.UNKNOWN_FIELDS_REFUSE
SEAL = new_seal()
ORDER: dict[str, Any] = {
    "type": "object",
    "required": ["sku", "lines"],
    "properties": {
        "sku": {"type": "string", "pattern": "^[a-z]+$"},
        "at": {"type": "string", "format": "date-time"},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
        "note": {"type": "string", "x-ff-nfc": True},
        "free": {"type": "object"},
    },
    "$defs": {
        "line": {
            "allOf": [{"$anchor": "counted", "properties": {"quantity": {"type": "integer", "minimum": 1}}}],
            "properties": {"gift/wrap": {"type": "boolean"}},
            "required": ["quantity"],
        }
    },
}
FINE = {"sku": "abc", "lines": [{"quantity": 2}]}


def schema(document: object, max_depth: int = 0, name: str = "shop/order") -> pb.Resource:
    version = pb.SchemaVersion(name="1", document=json.dumps(document).encode(), max_depth=max_depth)
    made = pb.Schema(format=pb.SCHEMA_FORMAT_JSON_SCHEMA, versions=[version])
    return pb.Resource(name=f"schema/{name}", schema=made)


def form(document: object, unknown: pb.UnknownFields.ValueType = KEEP, max_depth: int = 0) -> Form:
    compiled = snapshot(schema(document, max_depth)).schemas["shop/order"]
    return Form(compiled.contents["1"], unknown)


def fit(value: object, document: object = ORDER, unknown: pb.UnknownFields.ValueType = KEEP) -> object:
    """The value as it goes on, or the violations: (pointer, rule)."""
    made = canonical("application/json", json.dumps(value).encode(), form(document, unknown))
    if isinstance(made, Broken):
        return [(each.pointer, each.rule) for each in made.violations]
    assert isinstance(made, Content)
    return json.loads(made.body)


@pytest.mark.parametrize(
    ("value", "violations"),
    [
        ({}, [("", "required"), ("", "required")]),
        ({**FINE, "sku": "ABC"}, [("/sku", "pattern")]),
        (
            {**FINE, "lines": [{"quantity": 2}, {"quantity": 0}, {}]},
            [("/lines/1/quantity", "minimum"), ("/lines/2", "required")],
        ),
        ({**FINE, "lines": [{"quantity": 1, "gift/wrap": 1}]}, [("/lines/0/gift~1wrap", "type")]),
        ({**FINE, "at": "yesterday"}, [("/at", "format")]),
        ([], [("", "type")]),
    ],
    ids=["required", "pattern", "below", "escaped", "format", "type"],
)
def test_each_violation_names_its_place_and_the_schemas_own_word(value: object, violations: object) -> None:
    assert fit(value) == violations


def test_violations_are_sentences_and_bounded() -> None:
    body = json.dumps({**FINE, "lines": [{"quantity": 0}] * 100, "sku": "A" * 10_000}).encode()
    made = canonical("application/json", body, form(ORDER))
    assert isinstance(made, Broken)
    assert len(made.violations) == MAX_VIOLATIONS
    assert all(5 < len(each.detail) < 300 for each in made.violations)


DEEP = {**FINE, "x": 1, "lines": [{"quantity": 2, "y": {"z": 1}, "gift/wrap": True}], "free": {"any": 1}}


def test_unknown_fields_are_kept_dropped_or_refused_wherever_they_are() -> None:
    assert fit(DEEP, unknown=KEEP) == DEEP
    kept = {**FINE, "lines": [{"quantity": 2, "gift/wrap": True}], "free": {"any": 1}}
    assert fit(DEEP, unknown=DROP) == kept
    assert fit(DEEP, unknown=REFUSE) == [("/lines/0/y", "unknownFields"), ("/x", "unknownFields")]
    assert fit(kept, unknown=REFUSE) == kept


@pytest.mark.parametrize(
    ("document", "kept"),
    [
        ({"properties": {"a": True}}, {"a": 1}),
        ({"patternProperties": {"^b": True}}, {"b": 1}),
        ({"allOf": [{"properties": {"a": True}}, {"properties": {"b": True}}]}, {"a": 1, "b": 1}),
        ({"anyOf": [{"properties": {"a": True}}, {"properties": {"b": True}}]}, {"a": 1, "b": 1}),
        ({"oneOf": [{"properties": {"a": {"const": 1}}}, False]}, {"a": 1}),
        ({"if": {"properties": {"a": True}}, "then": {"properties": {"c": True}}}, {"a": 1, "c": 1}),
        ({"properties": {"a": True}, "dependentSchemas": {"a": {"properties": {"b": True}}}}, {"a": 1, "b": 1}),
        ({"$ref": "#/$defs/x~1y", "$defs": {"x/y": {"properties": {"c": True}}}}, {"c": 1}),
        ({"$ref": "#named", "$defs": {"x": {"$anchor": "named", "properties": {"c": True}}}}, {"c": 1}),
        ({"properties": {"a": True}, "additionalProperties": {"type": "integer"}}, {"a": 1, "b": 1, "c": 1}),
        ({"properties": {"a": True}, "unevaluatedProperties": True}, {"a": 1, "b": 1, "c": 1}),
        ({"type": "object"}, {"a": 1, "b": 1, "c": 1}),
        (True, {"a": 1, "b": 1, "c": 1}),
        ({"properties": {"a": {"const": 1}, "patternProperties": True, "$anchor": {"type": "string"}}}, {"a": 1}),
    ],
    ids=lambda each: json.dumps(each)[:50],
)
def test_a_field_is_known_when_any_schema_there_names_it(document: object, kept: object) -> None:
    assert fit({"a": 1, "b": 1, "c": 1}, document, DROP) == kept


def test_unknown_fields_are_found_below_lists_maps_and_recursion() -> None:
    node = {"properties": {"next": {"$ref": "#"}, "tuple": {"prefixItems": [{"properties": {"a": True}}]}}}
    assert fit({"next": {"next": {"x": 1}, "tuple": [{"a": 1, "x": 1}]}}, node, DROP) == {
        "next": {"next": {}, "tuple": [{"a": 1}]}
    }
    mapped = {"additionalProperties": {"properties": {"a": True}}}
    assert fit({"k": {"a": 1, "b": 2}}, mapped, DROP) == {"k": {"a": 1}}


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31T23:30:00+01:00", "2026-01-31T22:30:00Z"),
        ("2026-01-01t00:00:00z", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00.1230-00:30", "2026-01-01T00:30:00.123Z"),
        ("2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00.123456789012Z", "2026-01-01T00:00:00.123456789012Z"),
        ("9999-12-31T23:59:59-01:00", "9999-12-31T23:59:59-01:00"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:60Z"),
        ("20260101T000000Z", "20260101T000000Z"),
        ("no date", "no date"),
    ],
)
def test_moments_are_told_in_utc(text: str, moment: str) -> None:
    assert utc(text) == moment
    assert utc(moment) == moment


def test_texts_have_a_canonical_form_where_nothing_looks_at_how_they_are_written() -> None:
    told = {**FINE, "at": "2026-01-01T01:00:00+01:00", "note": "e\u0301"}
    assert fit(told) == {**FINE, "at": "2026-01-01T00:00:00Z", "note": "\u00e9"}
    local = {"format": "date-time", "pattern": r"\+01:00$"}
    assert fit("2026-01-01T01:00:00+01:00", local) == "2026-01-01T01:00:00+01:00"
    either = {"anyOf": [{"format": "date-time"}, {"type": "string"}]}
    assert fit("2026-01-01T01:00:00+01:00", either) == "2026-01-01T01:00:00+01:00"


def test_content_deeper_than_the_schema_can_judge_is_refused() -> None:
    made = canonical("application/json", b"[[[]]]", form(True, max_depth=2))
    assert isinstance(made, Broken)
    assert made.violations[0].rule == "maxDepth"
    assert isinstance(canonical("application/json", b"[[1]]", form(True, max_depth=2)), Content)


@given(
    st.recursive(
        st.none() | st.integers() | st.text() | st.just("2026-01-01T01:00:00.50+01:00"),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from([*ORDER["properties"], "quantity", "x"]), inner)
        ),
        max_leaves=10,
    ).map(lambda found: {**FINE, **found} if isinstance(found, dict) else found),
    st.sampled_from([KEEP, DROP, REFUSE]),
)
def test_what_passed_passes_again_as_it_is(value: object, unknown: pb.UnknownFields.ValueType) -> None:
    try:
        made = canonical("application/json", json.dumps(value).encode(), form(ORDER, unknown))
    except UnicodeEncodeError:
        return
    if isinstance(made, Content):
        assert canonical("application/json", made.body, form(ORDER, unknown)) == made


def world(
    *resources: pb.Resource,
    version: str = "1",
    checked: str = "",
    unknown: pb.UnknownFields.ValueType = KEEP,
) -> Snapshot:
    ref = pb.SchemaVersionRef(schema="shop/order", version=version)
    message = pb.MessageDispatch(
        type=TYPE,
        upstream=TARGET,
        request=ref if checked == "request" else None,
        reply=ref if checked == "reply" else None,
        unknown_fields=unknown,
    )
    return snapshot(host(plan("orders", "/orders", message=message)), *resources)


def come_in(body: bytes, known: Snapshot, media_type: str = "application/json") -> tuple[Passage, Failed | None]:
    passage = open_passage(envelope(body, media_type=media_type), known, SEAL, now=NOW)
    for stage in INBOUND:
        outcome = stage.process(passage)
        assert not isinstance(outcome, Asks)
        if outcome is not None:
            assert isinstance(outcome, Failed)
            return passage, outcome
    return passage, None


def test_a_message_says_by_which_schema_it_was_found_valid() -> None:
    passage, failed = come_in(json.dumps(DEEP).encode(), world(schema(ORDER), checked="request", unknown=DROP))
    payload = passage.envelope.payload
    assert failed is None
    assert (payload.schema, payload.schema_version) == ("shop/order", "1")
    assert "x" not in json.loads(payload.body)


@pytest.mark.parametrize(
    ("body", "media_type", "known", "reason"),
    [
        (b'{"sku":1}', "application/json", world(schema(ORDER), checked="request"), Reason.CONTENT_INVALID),
        (b"", "application/json", world(schema(ORDER), checked="request"), Reason.CONTENT_INVALID),
        (b"a=b", "text/plain", world(schema(ORDER), checked="request"), Reason.CONTENT_UNTYPED),
        (b"{", "application/json", world(schema(ORDER), checked="request"), Reason.CONTENT_MALFORMED),
        (b"{}", "application/json", world(checked="request"), Reason.SCHEMA_MISSING),
        (b"{}", "application/json", world(schema(ORDER), version="2", checked="request"), Reason.SCHEMA_MISSING),
        (b"{}", "application/json", world(schema({"$ref": "x:y"}), checked="request"), Reason.SCHEMA_MISSING),
    ],
    ids=["invalid", "empty", "no JSON", "malformed", "no schema", "no version", "no sound schema"],
)
def test_nothing_that_was_not_found_valid_goes_on(
    body: bytes, media_type: str, known: Snapshot, reason: Reason
) -> None:
    _, failed = come_in(body, known, media_type)
    assert failed is not None
    assert failed.error.reason == reason.value


def test_the_client_is_told_every_field_and_the_trail_the_schema() -> None:
    _, failed = come_in(b'{"sku":"A","lines":[{"quantity":0}]}', world(schema(ORDER), checked="request"))
    assert failed is not None
    assert failed.refusal is not None
    assert sorted((each.pointer, each.rule) for each in failed.error.violations) == [
        ("/lines/0/quantity", "minimum"),
        ("/sku", "pattern"),
    ]
    assert failed.refusal.object == "Schema shop/order"


def test_a_reply_that_breaks_its_schema_is_an_error_whose_detail_the_caller_does_not_get() -> None:
    passage, _ = come_in(b"{}", world(schema(ORDER), checked="reply"))
    for body, fine in ((b'{"order":7}', False), (json.dumps(FINE).encode(), True)):
        answer = reply(body)
        ended = [stage.process(passage, answer) for stage in OUTBOUND if stage.name == "normalization"]
        assert (ended == [None]) == fine
        if fine:
            assert (answer.payload.schema, answer.payload.schema_version) == ("shop/order", "1")
            continue
        [failed] = ended
        assert isinstance(failed, Failed)
        assert failed.refusal is not None
        assert (failed.error.reason, len(failed.error.violations)) == (Reason.REPLY_MALFORMED.value, 0)
        assert "sku" in failed.refusal.detail


def test_a_target_cannot_say_that_its_reply_was_checked() -> None:
    passage, _ = come_in(b"{}", world())
    answer = reply(b"{}")
    answer.payload.schema = "shop/order"
    assert [stage.process(passage, answer) for stage in OUTBOUND] == [None] * len(OUTBOUND)
    assert answer.payload.schema == ""
