"""Answers of upstreams are judged by a JSON Schema before clients get them."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping

import pytest

from support.client import Response
from support.documents import Document
from support.gateway import Gateway
from support.origin import Origin, Reply
from support.resources import Json, prefix, resource, route, rule

BOOK: Document = {"type": "object", "required": ["title"], "properties": {"title": {"type": "string"}}}
FINE = '{ "title": "Dune",\n "pages": 412 }'
SECRET = '{"title": 7, "password": "hidden"}'
MALFORMED = (502, "normalization/reply-malformed")
UNJUDGED = (502, "normalization/reply-unjudged")


@pytest.fixture
def origin(deciding_gateway: Gateway) -> Generator[Origin]:
    """The decision service is there again after the test."""
    origin = deciding_gateway.upstream("books")
    versions = [{"name": "v1", "document": json.dumps(BOOK)}]
    deciding_gateway.apply(resource("Schema", "book", {"format": "JSONSchema", "versions": versions}), books())
    yield origin
    deciding_gateway.stack.start_decision_service()


def books(**more: Json) -> Document:
    rules: Document = {"schema": {"name": "book"}, **more}
    return route("books", rule(prefix("/books"), to="books", responseBody=rules), rule(prefix("/free"), to="books"))


def answering(
    origin: Origin, body: str, status: int = 200, headers: Mapping[str, str] | None = None, *, chunked: bool = False
) -> None:
    sent = {"content-type": "application/json", **(headers or {})}
    origin.answer = lambda _: Reply(status=status, headers=tuple(sent.items()), body=body, chunked=chunked)


def outcome(answer: Response) -> tuple[int, str | None]:
    return answer.status, answer.reason


def test_what_keeps_the_schema_comes_as_it_was_written(gateway: Gateway, origin: Origin) -> None:
    answering(origin, FINE, headers={"etag": '"1"'})
    answer = gateway.get("/books")
    assert (answer.status, answer.body, answer.header("etag")) == (200, FINE, '"1"')


def test_what_breaks_it_is_502_and_nothing_of_it_gets_out(gateway: Gateway, origin: Origin) -> None:
    answering(origin, SECRET, headers={"etag": '"1"', "content-disposition": "attachment"})
    answer = gateway.get("/books")
    assert outcome(answer) == MALFORMED
    assert answer.header("content-type") == "application/problem+json"
    assert (answer.json["stage"], answer.json["reason"]) == ("normalization", "reply-malformed")
    assert answer.json["requestId"] == answer.header("x-request-id")
    assert "hidden" not in answer.body
    assert (answer.header("etag"), answer.header("content-disposition")) == (None, None)
    assert gateway.log_line(answer)["refusal"] == "normalization/reply-malformed"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ('{"title": "a"', {}),
        ('{"title": "a", "title": "b"}', {}),
        ("", {}),
        (FINE, {"content-type": "text/html"}),
        (FINE, {"content-encoding": "gzip"}),
    ],
    ids=["cut off", "twice", "empty", "media type", "encoded"],
)
def test_only_json_in_no_encoding_can_keep_it(
    gateway: Gateway, origin: Origin, body: str, headers: dict[str, str]
) -> None:
    answering(origin, body, headers=headers)
    assert outcome(gateway.get("/books")) == MALFORMED
    assert gateway.get("/free").body == body


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
@pytest.mark.parametrize("size", [101, 60_000, 65_537, 300_000])
def test_a_larger_answer_is_malformed(gateway: Gateway, origin: Origin, size: int, *, chunked: bool) -> None:
    gateway.apply(books(maxBytes=100))
    answering(origin, FINE.ljust(100), chunked=chunked)
    assert gateway.get("/books").body == FINE.ljust(100)
    answering(origin, FINE.ljust(size), chunked=chunked)
    assert outcome(gateway.get("/books")) == MALFORMED
    assert len(gateway.get("/free").body) == size


def test_the_largest_bound_is_held_whole(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(books(maxBytes=65_536))
    answering(origin, FINE.ljust(65_536))
    assert len(gateway.get("/books").body) == 65_536


def test_the_upstream_is_asked_for_what_can_be_judged(gateway: Gateway, origin: Origin) -> None:
    answering(origin, FINE)
    asked = {"accept-encoding": "gzip", "range": "bytes=0-1", "if-range": '"1"'}
    assert gateway.get("/books", headers=asked).status == 200
    assert not set(asked) & origin.last.names
    gateway.get("/free", headers=asked)
    assert set(asked) <= origin.last.names


@pytest.mark.parametrize("status", [204, 304, 404, 500])
def test_answers_that_are_no_success_pass(gateway: Gateway, origin: Origin, status: int) -> None:
    answering(origin, "" if status in {204, 304} else SECRET, status)
    assert outcome(gateway.get("/books")) == (status, None)


def test_answers_to_head_have_no_body_to_judge(gateway: Gateway, origin: Origin) -> None:
    answering(origin, "")
    assert gateway.request("HEAD", "/books").status == 200


def test_a_client_can_neither_switch_it_off_nor_ask_by_itself(gateway: Gateway, origin: Origin) -> None:
    answering(origin, SECRET)
    forged = {"x-ff-response": "1", "x-ff-plan": "none", "x-ff-shadow": "1", "x-http-method": "HEAD"}
    assert outcome(gateway.get("/books", headers=forged)) == MALFORMED


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
def test_in_the_shadow_faults_are_told_and_everything_passes(
    gateway: Gateway, origin: Origin, *, chunked: bool
) -> None:
    gateway.apply(books(maxBytes=50, shadow=True))
    answering(origin, SECRET, chunked=chunked)
    broken = gateway.get("/books")
    answering(origin, FINE.ljust(300_000), chunked=chunked)
    large = gateway.get("/books")
    answering(origin, FINE, chunked=chunked)
    fine = gateway.get("/books")
    assert [(each.status, len(each.body)) for each in (broken, large, fine)] == [
        (200, len(SECRET)),
        (200, 300_000),
        (200, len(FINE)),
    ]
    told = [gateway.log_line(each)["shadowDecision"] for each in (broken, large, fine)]
    names = [f"Schema {gateway.namespace}/book", f"Route {gateway.namespace}/books"]
    assert told == [*(f"{name} normalization/reply-malformed" for name in names), None]


def test_without_its_schema_a_rule_serves_nothing(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(books(schema={"name": "missing"}), expect={("Route", "books"): "SchemaNotFound"})
    assert "was not found" in gateway.problems("Route", "books")["spec.rules[0].responseBody.schema"]
    assert gateway.get("/books").status == 500
    assert origin.received == []


def test_when_nobody_can_judge_nothing_gets_out(gateway: Gateway, origin: Origin) -> None:
    answering(origin, SECRET)
    gateway.stack.stop_decision_service()
    answer = gateway.get("/books")
    assert outcome(answer) == UNJUDGED
    assert (answer.json["reason"], answer.json["requestId"]) == ("reply-unjudged", answer.header("x-request-id"))


def test_in_the_shadow_everything_passes_when_nobody_can_judge(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(books(shadow=True))
    answering(origin, SECRET)
    gateway.stack.stop_decision_service()
    answer = gateway.get("/books")
    assert (answer.status, answer.body) == (200, SECRET)
    told = gateway.log_line(answer)["shadowDecision"]
    assert told == f"Route {gateway.namespace}/books normalization/reply-unjudged"


def test_a_tenants_own_rule_judges_its_answers(gateway: Gateway, origin: Origin) -> None:
    judged = {"schema": {"name": "book"}}
    rules = [
        rule({"path": {"value": "/books"}, "flag": "strict"}, to="books", responseBody=judged),
        rule(prefix("/books"), to="books"),
    ]
    tenant = resource("Tenant", "acme", {"hosts": ["acme.example.com"], "flags": ["strict"]})
    gateway.apply(tenant, route("books", *rules))
    answering(origin, SECRET)
    assert gateway.get("/books").status == 200
    assert outcome(gateway.get("/books", host="acme.example.com")) == MALFORMED
