"""Answers that the edge gives by itself."""

import pytest

from support.gateway import Gateway
from support.resources import prefix, route, rule


def test_status_body_and_type_are_as_written(gateway: Gateway) -> None:
    gateway.apply(
        route("teapot", rule(respond={"status": 418, "body": '{"tea": true}', "contentType": "application/json"}))
    )
    answer = gateway.get()
    assert (answer.status, answer.json, answer.header("content-type")) == (418, {"tea": True}, "application/json")


def test_plain_text_and_200_are_the_defaults(gateway: Gateway) -> None:
    gateway.apply(route("hello", rule(says="hello")))
    answer = gateway.get()
    assert (answer.status, answer.body, answer.header("content-type")) == (200, "hello", "text/plain")


@pytest.mark.parametrize("status", [204, 304, 404, 503, 599])
def test_an_answer_may_have_no_body(gateway: Gateway, status: int) -> None:
    gateway.apply(route("empty", rule(respond={"status": status})))
    answer = gateway.get()
    assert (answer.status, answer.body) == (status, "")


@pytest.mark.parametrize("body", ["100 % sure", "%REQ(authorization)%", "a\nb\n", "päivää", "€" * 4096])
def test_the_body_is_literal(gateway: Gateway, body: str) -> None:
    gateway.apply(route("literal", rule(says=body)))
    answer = gateway.get(headers={"authorization": "secret"})
    assert answer.body == body
    assert answer.header("content-length") == str(len(body.encode()))


def test_every_method_is_answered_and_head_without_the_body(gateway: Gateway) -> None:
    gateway.apply(route("hello", rule(prefix("/"), says="hello")))
    for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS"):
        assert gateway.request(method, body="x" if method == "POST" else None).body == "hello", method
    head = gateway.request("HEAD")
    assert (head.status, head.body, head.header("content-length")) == (200, "", "5")
