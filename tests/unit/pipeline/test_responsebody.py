"""What upstreams answer: what is judged well, what is not, and what nobody can judge."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastforward_pipeline import Reason, Snapshot
from fastforward_pipeline.responsebody import judge_response

from fastforward.snapshot.v1 import snapshot_pb2 as pb
from support.decision_snapshots import host, plan, snapshot

BOOK = {"type": "object", "required": ["title"], "properties": {"title": {"type": "string"}}}
JSON = "application/json"


def schema() -> pb.Resource:
    version = pb.SchemaVersion(name="v1", document=json.dumps(BOOK).encode())
    return pb.Resource(
        name="schema/shop/book", schema=pb.Schema(format=pb.SCHEMA_FORMAT_JSON_SCHEMA, versions=[version])
    )


def world(*more: pb.Resource, shadow: bool = False, **fields: Any) -> tuple[Snapshot, str]:  # noqa: ANN401
    rules = pb.BodyRules(schema=pb.SchemaVersionRef(schema="shop/book", version="v1"), max_bytes=64, shadow=shadow)
    made = plan("a", response_body=rules, **fields)
    held = snapshot(host(made), *more)
    [name] = held.plans
    return held, name


@pytest.mark.parametrize(
    ("media_type", "encoding", "content", "reason"),
    [
        (JSON, "", b'{"title": "Dune"}', None),
        ("application/hal+json; charset=utf-8", "identity", b'{"title": "Dune"}', None),
        (JSON, "", b'{"title": "Dune"}'.ljust(64), None),
        (JSON, "", b'{"title": "Dune"}'.ljust(65), Reason.REPLY_MALFORMED),
        (JSON, "", b'{"title": 7}', Reason.REPLY_MALFORMED),
        (JSON, "", b"{", Reason.REPLY_MALFORMED),
        (JSON, "", b"", Reason.REPLY_MALFORMED),
        (JSON, "br", b'{"title": "Dune"}', Reason.REPLY_MALFORMED),
        ("text/html", "", b'{"title": "Dune"}', Reason.REPLY_MALFORMED),
        ("", "", b'{"title": "Dune"}', Reason.REPLY_MALFORMED),
    ],
)
def test_an_answer_keeps_the_schema_or_is_malformed(
    media_type: str, encoding: str, content: bytes, reason: Reason | None
) -> None:
    refusal, shadow = judge_response(*world(schema()), media_type, encoding, content)
    assert (refusal and refusal.reason, shadow) == (reason, False)


def test_what_is_logged_says_where_and_holds_no_value() -> None:
    refusal, _ = judge_response(*world(schema()), JSON, "", b'{"title": {"password": "hidden"}}')
    assert refusal is not None
    assert (refusal.object, refusal.field) == ("Schema shop/book", "/title")
    assert refusal.detail == "/title: it breaks `type`"


def test_the_shadow_is_said() -> None:
    refusal, shadow = judge_response(*world(schema(), shadow=True), JSON, "", b"{}")
    assert refusal is not None
    assert shadow


def test_without_schema_or_rule_nothing_is_judged_well() -> None:
    without, _ = judge_response(*world(), JSON, "", b'{"title": "Dune"}')
    held, _ = world(schema())
    unknown, _ = judge_response(held, "nobody's", JSON, "", b'{"title": "Dune"}')
    assert [each and each.reason for each in (without, unknown)] == [Reason.REPLY_UNJUDGED] * 2
