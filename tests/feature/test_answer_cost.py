"""Rate limits that count what answers cost, as these tell: in JSON, in the events of a stream, or by a header."""

from __future__ import annotations

import json
from collections.abc import Generator

import pytest

from support import model_server
from support.client import Response
from support.gateway import Gateway, until
from support.model_server import PATH, ModelServer
from support.resources import Json, limit, on, resource, route, rule

TOTAL: Json = {"path": "usage.total_tokens"}


@pytest.fixture
def models(deciding_gateway: Gateway) -> Generator[ModelServer]:
    with model_server.running() as server:
        deciding_gateway.apply(server.document, route("models", rule(to="models")))
        yield server


def apply(gateway: Gateway, *, units: int, cost: Json = TOTAL, name: str = "tokens", **spec: Json) -> None:
    aimed = on("Route", "models")
    gateway.apply(limit(name, aimed, requests=units, window="1h", enforcement="Exact", cost=cost, **spec))


def ask(gateway: Gateway, **headers: str) -> Response:
    sent = {"content-type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return gateway.request("POST", PATH, body=json.dumps({"model": "small"}), headers=sent)


def left(answer: Response) -> int:
    return int(answer.header("x-ratelimit-remaining") or -1)


def spent(gateway: Gateway, expected: int, **headers: str) -> Response:
    """Asks until clients are told that so much is left; the ends of requests come a moment after their answers."""
    return until(lambda: ask(gateway, **headers), lambda answer: left(answer) == expected)


def test_each_answer_costs_what_it_tells(gateway: Gateway, models: ModelServer) -> None:
    apply(gateway, units=1000)
    models.told = {"total_tokens": 400}
    assert left(ask(gateway)) == 1000
    models.told = {"total_tokens": 0}
    answer = spent(gateway, 600)
    assert (answer.status, answer.header("x-ratelimit-limit")) == (200, "1000")


def test_a_budget_may_be_overdrawn_and_then_nobody_passes(gateway: Gateway, models: ModelServer) -> None:
    apply(gateway, units=100)
    models.told = {"total_tokens": 150}
    assert ask(gateway).status == 200
    models.told = {"total_tokens": 0}  # of those that pass before the end of the first is told
    refused = until(lambda: ask(gateway), lambda answer: answer.status == 429)
    assert (refused.reason, refused.header("content-type")) == ("ratelimit/exceeded", "application/problem+json")
    assert left(refused) == 0
    # 51 of 100 units an hour must come back.
    assert 1830 <= int(refused.header("retry-after") or 0) <= 1840


def test_a_stream_is_told_by_its_last_event_and_is_held_back_by_nobody(gateway: Gateway, models: ModelServer) -> None:
    apply(gateway, units=1000)
    models.told = {"total_tokens": 300}
    models.finish.clear()
    with gateway.connect() as connection:
        body = json.dumps({"stream": True})
        head = f"POST {PATH} HTTP/1.1\r\nhost: example.com\r\ncontent-length: {len(body)}\r\n\r\n"
        connection.socket.sendall(head.encode() + body.encode())
        seen = b""
        while b"first" not in seen:  # though the server has sent no more than this
            part = connection.socket.recv(4096)
            assert part, seen
            seen += part
        assert b"[DONE]" not in seen
        models.finish.set()
        while b"[DONE]" not in seen:
            seen += connection.socket.recv(4096)
    models.told = {"total_tokens": 0}
    spent(gateway, 700)


def test_who_goes_away_in_the_middle_pays_what_was_told(gateway: Gateway, models: ModelServer) -> None:
    apply(gateway, units=1000)
    models.each, models.told = {"total_tokens": 120}, {"total_tokens": 900}
    models.finish.clear()
    with gateway.connect() as connection:
        body = json.dumps({"stream": True})
        head = f"POST {PATH} HTTP/1.1\r\nhost: example.com\r\ncontent-length: {len(body)}\r\n\r\n"
        connection.socket.sendall(head.encode() + body.encode())
        while b"first" not in connection.socket.recv(4096):
            pass
    models.each = models.told = {"total_tokens": 0}
    spent(gateway, 880)


def test_an_answer_may_be_larger_than_any_buffer(gateway: Gateway, models: ModelServer) -> None:
    apply(gateway, units=1000)
    models.padding, models.told = 1_000_000, {"total_tokens": 30}
    assert len(ask(gateway).content) > 1_000_000
    models.padding, models.told = 0, {"total_tokens": 0}
    spent(gateway, 970)


def test_who_tells_nothing_costs_what_the_limit_says_if_it_is_served(gateway: Gateway, models: ModelServer) -> None:
    apply(gateway, units=1000, cost={**TOTAL, "otherwise": 250})
    models.told, models.status = None, 500
    assert ask(gateway).status == 500
    models.status = 200
    assert left(ask(gateway)) == 1000
    models.told = {"total_tokens": 0}
    spent(gateway, 750)


def test_a_header_may_tell(gateway: Gateway, models: ModelServer) -> None:
    apply(gateway, units=50, cost={"header": "X-Units"})
    models.headers = {"x-units": "20"}
    assert left(ask(gateway)) == 50
    models.headers = {"x-units": "0"}
    spent(gateway, 30)


def test_limits_of_one_route_count_different_costs(gateway: Gateway, models: ModelServer) -> None:
    apply(
        gateway,
        units=500,
        cost={"path": "usage.prompt_tokens"},
        name="asked",
        key=[{"type": "Header", "header": "x-a"}],
    )
    apply(
        gateway,
        units=400,
        cost={"path": "usage.completion_tokens"},
        name="said",
        key=[{"type": "Header", "header": "x-a"}],
    )
    models.told = {"prompt_tokens": 300, "completion_tokens": 50}
    assert left(ask(gateway, x_a="one")) == 400
    models.told = {"prompt_tokens": 0, "completion_tokens": 0}
    spent(gateway, 200, x_a="one")
    assert left(ask(gateway, x_a="two")) == 400


def test_answers_that_are_read_are_not_compressed_on_the_way(gateway: Gateway, models: ModelServer) -> None:
    apply(gateway, units=500)
    assert ask(gateway, accept_encoding="gzip").status == 200
    assert models.encodings == [None]


def test_a_rule_that_judges_answers_reads_what_they_cost_as_well(gateway: Gateway, models: ModelServer) -> None:
    versions = [{"name": "v1", "document": json.dumps({"type": "object", "required": ["choices"]})}]
    gateway.apply(
        resource("Schema", "answers", {"format": "JSONSchema", "versions": versions}),
        route("models", rule(to="models", responseBody={"schema": {"name": "answers"}})),
    )
    apply(gateway, units=1000)
    models.told = {"total_tokens": 400}
    assert ask(gateway).status == 200
    models.told = {"total_tokens": 0}
    spent(gateway, 600)


def test_quotas_count_costs_as_well(gateway: Gateway, models: ModelServer) -> None:
    apply(gateway, units=100, period="Month")
    models.told = {"total_tokens": 100}
    assert ask(gateway).status == 200
    refused = until(lambda: ask(gateway), lambda answer: answer.status == 429)
    assert refused.reason == "ratelimit/quota-used"


def test_a_shadowed_limit_counts_and_hinders_nobody(gateway: Gateway, models: ModelServer) -> None:
    apply(gateway, units=10, shadow=True)
    models.told = {"total_tokens": 10}
    line = until(lambda: gateway.log_line(ask(gateway)), lambda line: line["shadowDecision"] is not None)
    assert line["shadowDecision"] == f"RateLimit {gateway.namespace}/tokens ratelimit/exceeded"
    assert line["status"] == 200


def test_further_limits_change_no_listener(gateway: Gateway, models: ModelServer) -> None:
    del models
    apply(gateway, units=1000)
    with gateway.connect() as connection:
        assert connection.request("GET", "/missing", host="example.com").header("connection") is None
        apply(gateway, units=900, name="others")
        answer = connection.request("POST", PATH, host="example.com", body="{}")
        assert (answer.status, answer.header("connection")) == (200, None)
        assert answer.header("x-ratelimit-limit") == "900"
