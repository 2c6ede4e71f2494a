"""Nothing that breaks its schema leaves by an answer, however the upstream sends it."""

from __future__ import annotations

import json
from collections.abc import Generator

import pytest
from fastforward_compiler.emit.envoy import entry, responsebody
from fastforward_pipeline import responsebody as judging

from security.deployment import Deployment, deploying
from support.origin import Received, Reply
from support.resources import Document, prefix, resource, route, rule

SECRET = "nobody may see this"
BOOK = {"type": "object", "required": ["title"], "additionalProperties": False, "properties": {"title": {}}}
FINE = json.dumps({"title": "Dune"})
LEAK = json.dumps({"title": "Dune", "internal": SECRET})
JSON = ("content-type", "application/json")
LEAKS = {
    "/announced": Reply(headers=(JSON,), body=LEAK),
    "/chunked": Reply(headers=(JSON,), body=LEAK, chunked=True),
    "/created": Reply(status=201, headers=(JSON,), body=LEAK),
    "/partial": Reply(status=206, headers=(JSON, ("content-range", "bytes 0-99/100")), body=LEAK),
    "/text": Reply(headers=(("content-type", "text/plain"),), body=LEAK),
    "/untyped": Reply(body=LEAK),
    "/twice": Reply(headers=(JSON, JSON), body=LEAK),
    "/encoded": Reply(headers=(JSON, ("content-encoding", "identity, x")), body=LEAK),
    "/told": Reply(headers=(JSON, ("x-ff-shadow", "1"), ("x-ff-response", "1")), body=LEAK),
    "/large": Reply(headers=(JSON,), body=LEAK.ljust(40_000)),
    "/larger": Reply(headers=(JSON,), body=LEAK.ljust(200_000)),
    "/larger-chunked": Reply(headers=(JSON,), body=LEAK.ljust(200_000), chunked=True),
}


def documents() -> list[Document]:
    versions = [{"name": "v1", "document": json.dumps(BOOK)}]
    judged = {"schema": {"name": "book"}, "maxBytes": 30_000}
    return [
        resource("Schema", "book", {"format": "JSONSchema", "versions": versions}),
        route("shop", rule(prefix("/"), to="shop", responseBody=judged), hosts="shop.example.com"),
    ]


def answer(request: Received) -> Reply:
    return LEAKS.get(request.target, Reply(headers=(JSON,), body=FINE))


def leaked(deployment: Deployment) -> list[str]:
    """By which ways it came through."""
    forged = (("x-ff-plan", "x"), ("x-ff-response", "1"), ("x-http-method-override", "HEAD"))
    ways = [way for way in LEAKS for sent in ((), forged) if SECRET in deployment.get(way, sent).body]
    return ways + [way for way in LEAKS if SECRET in deployment.get2(way).body]


@pytest.fixture
def deployment() -> Generator[Deployment]:
    with deploying(*documents(), origins=("shop",), answer=answer) as running:
        assert running.problems == ()
        yield running


def test_nothing_leaks(deployment: Deployment) -> None:
    assert deployment.get("/fine").body == FINE
    assert leaked(deployment) == []
    assert deployment.get("/fine").body == FINE


@pytest.mark.parametrize("behaviour", ["hang", "fail"])
def test_nothing_leaks_while_nobody_judges(deployment: Deployment, behaviour: str) -> None:
    deployment.decider.behaviour = behaviour
    assert SECRET not in deployment.get("/announced").body


def failing() -> str:
    """The script, with a failure in the middle of it."""
    broken = responsebody.SCRIPT.replace("return handle:httpCall(", "return nothing.there(")
    assert broken != responsebody.SCRIPT
    return broken


def test_nothing_leaks_by_a_failure_of_the_script(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responsebody, "SCRIPT", failing())
    with deploying(*documents(), origins=("shop",), answer=answer) as running:
        refused = running.get("/fine")
        assert (refused.status, refused.reason) == (502, "normalization/reply-unjudged")
        assert leaked(running) == []


def test_the_check_sees_a_build_that_leaves_failures_to_envoy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Envoy lets an answer pass when a script fails."""
    monkeypatch.setattr(
        responsebody, "SCRIPT", failing().replace("not pcall(look, handle, notes)", "look(handle, notes)")
    )
    with deploying(*documents(), origins=("shop",), answer=answer) as running:
        assert leaked(running)


def test_the_check_sees_a_build_whose_filter_is_left_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry, "emit_response_body", lambda *_: None)
    with deploying(*documents(), origins=("shop",), answer=answer) as running:
        assert leaked(running)


def test_the_check_sees_a_build_whose_judge_believes_the_media_type(monkeypatch: pytest.MonkeyPatch) -> None:
    own = judging.judge_content
    lax = lambda kind, body, schema: own(kind, body, schema) if kind == "application/json" else None  # noqa: E731
    monkeypatch.setattr(judging, "judge_content", lax)
    with deploying(*documents(), origins=("shop",), answer=answer) as running:
        assert set(leaked(running)) >= {"/text", "/untyped"}
