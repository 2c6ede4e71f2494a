"""Clients stay with the endpoint that they began with, as long as it is there; what they send tells no address."""

from __future__ import annotations

import base64
import re
from collections import Counter

import pytest

from support import gatewayapi
from support.client import Response
from support.gateway import Gateway, until
from support.origin import Reply
from support.resources import Document, Json, prefix, resource, route, rule, upstream

NAMES = ("a", "b", "c")
COOKIE = {"cookie": {"name": "session"}}
MARK = "[0-9a-f]{16}"


def kept(gateway: Gateway, *names: str, upstream_name: str = "books", **spec: Json) -> Document:
    """An Upstream with these origins behind it."""
    ports = [gateway.origins[name].port if name in gateway.origins else gateway.origin(name).port for name in names]
    return upstream(upstream_name, *ports, **{"sessionAffinity": COOKIE, **spec})


def cookie_of(answer: Response) -> str:
    """What a browser would send again."""
    (found,) = answer.values("set-cookie")
    return found.partition(";")[0]


def ask(gateway: Gateway, times: int, **headers: str) -> list[Response]:
    return [
        gateway.get(headers={name.replace("_", "-"): value for name, value in headers.items()}) for _ in range(times)
    ]


def test_a_client_with_a_cookie_stays_and_one_without_does_not(gateway: Gateway) -> None:
    gateway.apply(kept(gateway, *NAMES), route("books", rule(to="books")))
    first = gateway.get()
    assert re.fullmatch(f"session={MARK}; Path=/; HttpOnly; SameSite=Lax", first.header("set-cookie") or "")
    again = ask(gateway, 12, cookie=f"a=b; {cookie_of(first)}; c=d")
    assert {answer.origin for answer in again} == {first.origin}
    # It knows already.
    assert {answer.header("set-cookie") for answer in again} == {None}
    assert set(Counter(answer.origin for answer in ask(gateway, 12))) == set(NAMES)


def test_the_cookie_tells_no_address(gateway: Gateway) -> None:
    gateway.apply(kept(gateway, *NAMES), route("books", rule(to="books")))
    answer = gateway.get()
    value = cookie_of(answer).partition("=")[2]
    port = str(gateway.origins[str(answer.origin)].port)
    for text in (value, base64.b64decode(value).decode("latin-1"), bytes.fromhex(value).decode("latin-1")):
        assert port not in text
        assert "127.0.0.1" not in text


def test_attributes_of_the_cookie_are_as_written_and_its_end_is_put_off(gateway: Gateway) -> None:
    cookie = {"name": "shop-1", "path": "/shop", "maxAge": "1h", "sameSite": "Strict"}
    gateway.apply(kept(gateway, *NAMES, sessionAffinity={"cookie": cookie}), route("books", rule(to="books")))
    first = gateway.get()
    expected = f"shop-1={MARK}; Path=/shop; Max-Age=3600; HttpOnly; SameSite=Strict"
    assert re.fullmatch(expected, first.header("set-cookie") or "")
    assert gateway.get(headers={"cookie": cookie_of(first)}).header("set-cookie") == first.header("set-cookie")


def test_cookies_of_the_upstream_stay(gateway: Gateway) -> None:
    origin = gateway.origin("a", lambda _: Reply(headers=(("set-cookie", "own=1"), ("set-cookie", "more=2"))))
    gateway.apply(upstream("books", origin.port, sessionAffinity=COOKIE), route("books", rule(to="books")))
    own, more, ours = gateway.get().values("set-cookie")
    assert (own, more) == ("own=1", "more=2")
    assert ours.startswith("session=")


def test_a_header_does_the_same(gateway: Gateway) -> None:
    gateway.apply(kept(gateway, *NAMES, sessionAffinity={"header": "X-Session"}), route("books", rule(to="books")))
    first = gateway.get()
    mark = first.header("x-session") or ""
    assert re.fullmatch(MARK, mark)
    assert {answer.origin for answer in ask(gateway, 9, x_session=mark)} == {first.origin}


@pytest.mark.parametrize(
    "sent", ["session=0123456789abcdef", "session=", "session=%2e", 'session="x"', "session=a;session=b"]
)
def test_a_mark_that_nobody_has_leads_to_any_endpoint_and_a_new_one(gateway: Gateway, sent: str) -> None:
    gateway.apply(kept(gateway, *NAMES), route("books", rule(to="books")))
    answers = ask(gateway, 9, cookie=sent)
    assert {answer.status for answer in answers} == {200}
    assert {answer.origin for answer in answers} == set(NAMES)
    assert all(re.match(f"session={MARK};", answer.header("set-cookie") or "") for answer in answers)


def test_a_client_of_an_endpoint_that_is_taken_away_goes_elsewhere(gateway: Gateway) -> None:
    gateway.apply(kept(gateway, *NAMES), route("books", rule(to="books")))
    first = gateway.get()
    left = [name for name in NAMES if name != first.origin]
    gateway.apply(kept(gateway, *left))
    answer = gateway.get(headers={"cookie": cookie_of(first)})
    assert answer.origin in left
    assert {each.origin for each in ask(gateway, 6, cookie=cookie_of(answer))} == {answer.origin}


def test_a_client_of_an_endpoint_that_fails_goes_elsewhere_and_comes_back_to_none(gateway: Gateway) -> None:
    retry = {"retry": {"attempts": 2, "retryOn": ["connect-failure"]}}
    gateway.apply(kept(gateway, *NAMES), route("books", {**rule(to="books"), **retry}))
    first = gateway.get()
    gateway.origins[str(first.origin)].stop()
    answers = ask(gateway, 6, cookie=cookie_of(first))
    assert {answer.status for answer in answers} == {200}
    assert first.origin not in {answer.origin for answer in answers}
    moved = answers[-1]
    assert {each.origin for each in ask(gateway, 6, cookie=cookie_of(moved))} == {moved.origin}


def test_without_retries_an_endpoint_that_fails_costs_its_clients_one_answer(gateway: Gateway) -> None:
    gateway.apply(kept(gateway, *NAMES), route("books", rule(to="books")))
    first = gateway.get()
    gateway.origins[str(first.origin)].stop()
    cookie = {"cookie": cookie_of(first)}
    until(lambda: gateway.get(headers=cookie), lambda answer: answer.status == 200)


def test_upstreams_of_a_split_have_sessions_of_their_own(gateway: Gateway) -> None:
    other = {"sessionAffinity": {"cookie": {"name": "other"}}}
    split = [{"name": "books", "weight": 1}, {"name": "new", "weight": 1}, {"name": "plain", "weight": 1}]
    gateway.apply(
        kept(gateway, "a", "b"),
        kept(gateway, "c", "d", upstream_name="new", **other),
        resource("Upstream", "plain", {"endpoints": [{"address": "127.0.0.1", "port": gateway.origin("e").port}]}),
        route("books", rule(upstreams=split)),
    )
    jar: dict[str, str] = {}
    stays: dict[str, set[str | None]] = {"session": set(), "other": set()}
    for _ in range(40):
        answer = gateway.get(headers={"cookie": "; ".join(f"{name}={value}" for name, value in jar.items())})
        for cookie in answer.values("set-cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            assert name not in jar, "a session began again"
            jar[name] = value
        stays["session" if answer.origin in ("a", "b") else "other"].add(answer.origin)
    assert len(stays["session"]) == 1
    assert len(stays["other"] - {"e"}) == 1


def test_it_is_kept_where_the_decision_service_chooses_the_rule(deciding_gateway: Gateway) -> None:
    gateway = deciding_gateway
    held = {"methods": ["GET"], "flag": "nobody-has-it"}
    gateway.apply(
        kept(gateway, *NAMES), route("books", rule(prefix("/", **held), says="held"), rule(prefix("/"), to="books"))
    )
    first = gateway.get()
    assert {answer.origin for answer in ask(gateway, 9, cookie=cookie_of(first))} == {first.origin}


def test_a_service_that_is_a_name_keeps_no_sessions_and_says_so(gateway: Gateway) -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "far"},
        "spec": {"type": "ExternalName", "externalName": "localhost"},
    }
    spec = {"service": {"name": "far", "port": 80}, "sessionAffinity": COOKIE}
    gateway.apply(service, resource("Upstream", "far", spec), expect={("Upstream", "far"): "Invalid"})
    (problem,) = gateway.object("Upstream", gateway.namespace, "far")["problems"]
    assert problem["field"] == "spec.sessionAffinity"


def test_it_is_kept_where_answers_are_held_to_a_schema(deciding_gateway: Gateway) -> None:
    gateway = deciding_gateway
    said = Reply(headers=(("content-type", "application/json"),), body='{"a": 1}')
    for name in NAMES:
        gateway.origin(name, lambda _: said)
    schema = {"format": "JSONSchema", "versions": [{"name": "v1", "document": '{"required": ["a"]}'}]}
    judged = rule(to="books", responseBody={"schema": {"name": "a"}})
    gateway.apply(kept(gateway, *NAMES), resource("Schema", "a", schema), route("books", judged))
    first = gateway.get()
    again = ask(gateway, 9, cookie=cookie_of(first))
    assert {(answer.status, answer.origin) for answer in again} == {(200, first.origin)}
    for origin in gateway.origins.values():
        origin.answer = lambda _: Reply(headers=(("content-type", "application/json"),), body="{}")
    assert gateway.get(headers={"cookie": cookie_of(first)}).status == 502


def test_shards_whose_upstreams_agree_keep_sessions(deciding_gateway: Gateway) -> None:
    gateway = deciding_gateway
    gateway.apply(
        kept(gateway, *NAMES),
        resource("Shard", "one", {"upstreams": [{"purpose": "books", "name": "books"}]}),
        route("books", rule(shards={"upstream": "books", "key": "Header", "header": "x-key"})),
    )
    first = gateway.get(headers={"x-key": "1"})
    again = ask(gateway, 9, cookie=cookie_of(first), x_key="1")
    assert {answer.origin for answer in again} == {first.origin}


def test_a_gateway_s_routes_to_such_an_upstream_keep_sessions(gateway: Gateway) -> None:
    backend = {"group": "gateway.fastforward.dev", "kind": "Upstream", "name": "books", "port": 80}
    gateway.apply(
        kept(gateway, *NAMES),
        gatewayapi.gateway_class(),
        gatewayapi.gateway(gatewayapi.listener(gateway.port, hostname="example.com")),
        gatewayapi.http_route("books", gatewayapi.rule(backendRefs=[backend])),
    )
    first = gateway.get()
    assert {answer.origin for answer in ask(gateway, 9, cookie=cookie_of(first))} == {first.origin}
