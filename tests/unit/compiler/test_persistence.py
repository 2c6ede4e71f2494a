"""Session persistence of Gateway API: which sessions rules get, what is refused, and where cookies go."""

from __future__ import annotations

from typing import Any

import fastforward_crds as crds
import pytest
from fastforward_compiler import Compiler, ir, object_ref
from fastforward_compiler.translate.gatewayapi.persistence import common_path

from support.gatewayapi import backend, foreign, gateway, gateway_class, http_route, listener, parent, path, pods, rule
from support.resources import Document, resource, service

OURS = {"group": "gateway.fastforward.dev", "kind": "Upstream"}
PERMANENT = {"cookieConfig": {"lifetimeType": "Permanent"}, "absoluteTimeout": "1h"}


def compiled(*documents: Document) -> Compiler:
    compiler = Compiler()
    listed = (gateway_class(), gateway(listener(80)), *pods("one", 81), *documents)
    values = [crds.parse_resource(document) for document in listed]
    compiler.apply({object_ref(value): value for value in values})
    return compiler


def sessions(compiler: Compiler) -> set[ir.Session]:
    return {each for table in compiler.snapshot().tables for entry in table.entries for each in entry.sessions}


def kept(compiler: Compiler) -> dict[str, bool]:
    return {upstream.name: upstream.kept for upstream in compiler.snapshot().upstreams}


def problems(compiler: Compiler, kind: str = "HTTPRoute") -> list[tuple[str, str]]:
    (report,) = (report for ref, report in compiler.reports().items() if ref.kind == kind)
    return [(str(each.reason), each.field) for each in report.problems]


def asking(to: Any = None, **said: Any) -> Document:  # noqa: ANN401 - JSON
    refs = {"backendRefs": [to or backend("one")]}
    return http_route("books", {**rule(path("/shop/a"), path("/shop/b", "Exact")), **refs, "sessionPersistence": said})


def test_a_rule_gets_a_session_with_a_name_of_its_own() -> None:
    compiler = compiled(asking())
    (session,) = sessions(compiler)
    assert session.cookie.startswith("session-")
    assert (session.path, session.max_age_s, session.renewed, session.same_site) == ("/shop", None, False, "Lax")
    assert kept(compiler) == {"default/one:80": True}
    assert problems(compiler) == []


def test_a_service_without_sessions_has_no_marks_any_more() -> None:
    compiler = compiled(asking())
    values = [crds.parse_resource(each) for each in (http_route("books", rule(to="one")),)]
    compiler.apply({object_ref(value): value for value in values})
    assert (sessions(compiler), kept(compiler)) == (set(), {"default/one:80": False})


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            {"sessionName": "mine", **PERMANENT},
            ir.Session(cookie="mine", path="/shop", max_age_s=3600, renewed=False, same_site="Lax"),
        ),
        ({"sessionName": "X-Mine", "type": "Header"}, ir.Session(header="x-mine")),
    ],
)
def test_it_is_as_it_says(said: Any, expected: ir.Session) -> None:  # noqa: ANN401 - JSON
    assert sessions(compiled(asking(**said))) == {expected}


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"idleTimeout": "1m"}, "idleTimeout"),
        ({"absoluteTimeout": "1h"}, "absoluteTimeout"),
        ({"cookieConfig": {"lifetimeType": "Permanent"}}, "absoluteTimeout"),
        ({**PERMANENT, "absoluteTimeout": "10ms"}, "absoluteTimeout"),
        ({"sessionName": "a b"}, "sessionName"),
        ({"type": "Header", "sessionName": "x-ff-mine"}, "sessionName"),
        ({"type": "Header", "sessionName": "content-length"}, "sessionName"),
        ({"type": "Header", "absoluteTimeout": "1h"}, "absoluteTimeout"),
        ({"type": "Header", "cookieConfig": {}}, "cookieConfig"),
    ],
)
def test_what_has_no_equivalent_is_told_and_the_rule_serves(said: Any, field: str) -> None:  # noqa: ANN401 - JSON
    compiler = compiled(asking(**said))
    assert problems(compiler) == [("UnsupportedValue", f"spec.rules[0].sessionPersistence.{field}")]
    assert sessions(compiler) == set()
    assert kept(compiler) == {"default/one:80": False}
    (entry,) = {entry.destination for table in compiler.snapshot().tables for entry in table.entries}
    assert isinstance(entry, ir.Split)


def test_an_upstream_of_ours_keeps_clients_for_rules() -> None:
    upstream = resource("Upstream", "own", {"endpoints": [{"address": "127.0.0.1", "port": 81}]})
    compiler = compiled(upstream, asking({**OURS, "name": "own"}, sessionName="mine"))
    assert {session.cookie for session in sessions(compiler)} == {"mine"}
    assert kept(compiler) == {"default/own": True}


@pytest.mark.parametrize(
    "spec",
    [
        {"dns": {"host": "books.example.com", "port": 80}},
        {
            "endpoints": [{"address": "127.0.0.1", "port": 81}],
            "loadBalancing": {"policy": "Maglev", "hashOn": {"address": True}},
        },
    ],
)
def test_endpoints_that_are_not_told_apart_keep_nobody(spec: Any) -> None:  # noqa: ANN401 - JSON
    compiler = compiled(resource("Upstream", "own", spec), asking({**OURS, "name": "own"}))
    assert problems(compiler) == [("UnsupportedValue", "spec.rules[0].backendRefs[0]")]
    assert (sessions(compiler), kept(compiler)) == (set(), {"default/own": False})


def test_a_service_that_is_a_name_keeps_nobody() -> None:
    named = service("named", {"name": "http", "port": 80}, type="ExternalName", externalName="books.example.com")
    compiler = compiled(named, asking(backend("named")))
    assert problems(compiler) == [("UnsupportedValue", "spec.rules[0].backendRefs[0]")]
    own = resource("Upstream", "own", {"service": {"name": "named", "port": 80}})
    compiler = compiled(named, own, asking({**OURS, "name": "own"}))
    assert problems(compiler, "Upstream") == [("Invalid", "spec.service")]
    assert kept(compiler) == {"default/own": False}


def test_calls_keep_sessions_too() -> None:
    spec = {
        "parentRefs": [parent()],
        "rules": [{"backendRefs": [backend("one")], "sessionPersistence": {"type": "Header"}}],
    }
    compiler = compiled(foreign("GRPCRoute", "calls", spec))
    (session,) = sessions(compiler)
    assert session.header.startswith("x-session-")
    assert kept(compiler) == {"default/one:80/grpc": True}


@pytest.mark.parametrize(
    ("paths", "common"),
    [
        ((), "/"),
        (("/",), "/"),
        (("/a/b/", "/a/b/c"), "/a/b"),
        (("/a/b", "/a/bc"), "/a"),
        (("/a", "/"), "/"),
        (("/a/b;c'/d",), "/a"),
        (("/a/%41",), "/a"),
    ],
)
def test_a_cookie_goes_where_all_matches_are(paths: tuple[str, ...], common: str) -> None:
    assert common_path(paths) == common
