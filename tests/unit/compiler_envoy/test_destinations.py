"""Where requests go and what is changed on the way, asked of a real Envoy."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from fastforward_compiler import ir

from support.client import Connection
from support.ir_values import ORIGIN, delta, edge, entry, scope, table, upstream
from support.origin import Origin
from support.processes import free_port
from support.static_envoy import StaticEnvoy

Serve = Callable[..., StaticEnvoy]


def rewritten(rule: str, at: str, match: dict[str, Any] | None = None, **rewrite: str) -> ir.Entry:
    return entry(rule, at, to=ORIGIN, rewrite=ir.Rewrite(**rewrite), match=match or {})


def redirected(rule: str, status: int, **redirect: Any) -> ir.Entry:  # noqa: ANN401 - any field of ir.Redirect
    return entry(rule, f"/{rule}", destination=ir.Redirect(status=status, **redirect))


NASTY = r"%REQ(:path)% ${x} \1 \0 \\ {{}} \"'"
ENTRIES = (
    rewritten("prefix", "/a", prefix="/b"),
    rewritten("to-root", "/c", prefix="/"),
    rewritten("to-slash", "/d", prefix="/e/"),
    rewritten("whole", "/f", match={"path_type": ir.PathType.EXACT}, path="/full\\1"),
    rewritten("pattern", "/g", regex_pattern="/(x)(y)", regex_substitution=r"/\2\1"),
    rewritten("host", "/h", host="other.example", prefix="/%REQ(host)%"),
    redirected("to-path", 302, path="/new%REQ(x)%"),
    redirected("to-path-with-query", 307, path="/new?z=1"),
    redirected("to-itself", 302),
    redirected("to-https", 301, scheme="https"),
    redirected("to-host", 308, host="b.test", path="/p"),
    redirected("to-port", 303, port=8443),
    entry(
        "headers",
        "/headers",
        to=ORIGIN,
        request_headers=ir.HeaderChanges(
            remove=("x-gone", "host"), set=(("x-set", NASTY), ("x-empty", "")), add=(("x-add", "2"), ("x-add", "3"))
        ),
        response_headers=ir.HeaderChanges(remove=("x-origin",), set=(("x-r", "100%"),), add=(("x-two", "1"),)),
    ),
    entry("said", "/said", destination=ir.Respond(status=418, body=f"{NASTY} é", content_type='text/x; a="%"')),
    entry("silent", "/silent", destination=ir.Respond(status=204)),
    entry("broken", "/broken", destination=ir.Unavailable(reason="x")),
    entry("broken-gate", "/gate", gate=True, destination=ir.Unavailable(reason="x")),
    entry(
        "half",
        "/half",
        destination=ir.Split(shares=(ir.Share(upstream="", weight=1), ir.Share(upstream=ORIGIN, weight=1))),
    ),
    entry("nowhere", "/nowhere", to="shop/none"),
    entry("dead", "/dead", to="shop/dead"),
    entry("slow", "/slow", to=ORIGIN, timeout_ms=50),
    entry("tried", "/tried", to="shop/dead", retry=ir.Retry(attempts=2, on=("connect-failure",), backoff_ms=1)),
    entry(
        "cors",
        "/cors",
        to=ORIGIN,
        cors=ir.Cors(
            allow_origins=("https://a.test", "https://*.b.test"),
            allow_methods=("GET", "PUT"),
            allow_headers=("x-a",),
            expose_headers=("x-b",),
            allow_credentials=True,
        ),
    ),
    entry("cors-all", "/cors-all", to=ORIGIN, cors=ir.Cors(allow_origins=("*",), allow_methods=("GET",))),
    rewritten("below-root", "/", prefix="/base"),
)


@pytest.fixture(scope="module")
def envoy(serve: Serve, origin: Origin) -> StaticEnvoy:
    upstreams = (upstream(port=origin.port), upstream("shop/dead", free_port()))
    return serve(
        lambda port: delta(
            edges=(edge(port),), scopes=(scope("a"),), tables=(table("a", *ENTRIES),), upstreams=upstreams
        )
    )


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/a?q=1", "/b?q=1"),
        ("/a/", "/b/"),
        ("/a/x?q=%20", "/b/x?q=%20"),
        ("/c", "/"),
        ("/c/", "/"),
        ("/c/x/y", "/x/y"),
        ("/d", "/e/"),
        ("/d/x", "/e/x"),
        ("/f?q", "/full\\1?q"),
        ("/g/xy/xy?z=/xy", "/g/yx/yx?z=/xy"),
        ("/h/z", "/%REQ(host)%/z"),
        ("/z/z", "/base/z/z"),
        ("/", "/base/"),
    ],
)
def test_paths_are_rewritten_and_queries_kept(envoy: StaticEnvoy, origin: Origin, target: str, expected: str) -> None:
    assert envoy.ask("a", target).status == 200
    assert origin.last.target == expected


def test_the_host_is_rewritten(envoy: StaticEnvoy, origin: Origin) -> None:
    envoy.ask("a", "/h")
    assert origin.last.header("host") == "other.example"


@pytest.mark.parametrize(
    ("target", "status", "location"),
    [
        ("/to-path?q=1", 302, "/new%REQ(x)%?q=1"),
        ("/to-path", 302, "/new%REQ(x)%"),
        ("/to-path-with-query?q=1", 307, "/new?z=1"),
        ("/to-itself/x?a=b", 302, "/to-itself/x?a=b"),
        ("/to-https/x?y", 301, "https://a/to-https/x?y"),
        ("/to-host?q=1", 308, "http://b.test/p?q=1"),
        ("/to-port/z", 303, "http://a:8443/to-port/z"),
    ],
)
def test_redirects(envoy: StaticEnvoy, target: str, status: int, location: str) -> None:
    response = envoy.ask("a:8080", target, {"x": "1"})
    assert (response.status, response.header("location"), response.body) == (status, location, "")


def test_headers_are_removed_then_set_then_added_and_taken_literally(envoy: StaticEnvoy, origin: Origin) -> None:
    response = envoy.ask("a", "/headers?q", [("x-gone", "1"), ("x-add", "1"), ("x-set", "0")])
    seen = origin.last
    assert seen.header("x-gone") is None
    assert (seen.values("x-set"), seen.values("x-empty"), seen.values("x-add")) == ([NASTY], [""], ["1", "2", "3"])
    assert seen.header("host") == "a"
    assert (response.origin, response.header("x-r"), response.header("x-two")) == (None, "100%", "1")


def test_answers_of_the_edge_are_taken_literally(envoy: StaticEnvoy) -> None:
    response = envoy.ask("a", "/said")
    assert (response.status, response.body, response.header("content-type")) == (418, f"{NASTY} é", 'text/x; a="%"')
    assert (envoy.ask("a", "/silent").status, envoy.ask("a", "/silent").body) == (204, "")


@pytest.mark.parametrize(
    ("target", "status", "reason"),
    [
        ("/broken", 500, "routing/unavailable"),
        ("/gate", 500, "routing/unavailable"),
        ("/nowhere", 503, "dispatch/no-endpoint"),
        ("/dead", 503, "dispatch/connection-failed"),
    ],
)
def test_what_can_not_be_served_says_why(envoy: StaticEnvoy, target: str, status: int, reason: str) -> None:
    response = envoy.ask("a", target)
    assert (response.status, response.reason) == (status, reason)
    assert (response.json["status"], response.json["requestId"]) == (status, response.header("x-request-id"))


def test_a_slow_upstream_is_given_up(envoy: StaticEnvoy, origin: Origin) -> None:
    with origin.held():
        response = envoy.ask("a", "/slow")
    assert (response.status, response.reason) == (504, "dispatch/timeout")


def test_a_share_without_upstream_is_answered_500(envoy: StaticEnvoy) -> None:
    assert {envoy.ask("a", "/half").status for _ in range(40)} == {200, 500}


def test_retries_are_made_and_logged(envoy: StaticEnvoy) -> None:
    assert envoy.logged(envoy.ask("a", "/tried"))["attempts"] == 3


@pytest.mark.parametrize(
    ("path", "origin_header", "allowed"),
    [
        ("/cors", "https://a.test", True),
        ("/cors", "https://x.y.b.test", True),
        ("/cors", "https://b.test", False),
        ("/cors", "https://a.test.evil", False),
        ("/cors", "https://evil/.b.test", False),
        ("/cors-all", "https://anything", True),
    ],
)
def test_cross_origin_requests(envoy: StaticEnvoy, path: str, origin_header: str, allowed: bool) -> None:
    headers = {"origin": origin_header}
    plain = envoy.ask("a", path, headers)
    preflight = envoy.ask("a", path, {**headers, "access-control-request-method": "GET"}, method="OPTIONS")
    assert (plain.header("access-control-allow-origin") == origin_header) is allowed
    assert (preflight.origin is None) is allowed


def test_a_preflight_is_told_what_is_granted(envoy: StaticEnvoy) -> None:
    asked = {"origin": "https://a.test", "access-control-request-method": "PUT"}
    preflight = envoy.ask("a", "/cors", asked, method="OPTIONS")
    granted = {name.removeprefix("access-control-"): value for name, value in preflight.headers if "access" in name}
    assert granted == {
        "allow-origin": "https://a.test",
        "allow-credentials": "true",
        "allow-methods": "GET, PUT",
        "allow-headers": "x-a",
        "expose-headers": "x-b",
        "max-age": "600",
    }


VALID = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize("parent", [VALID, VALID.replace("00-", "01-", 1), VALID.replace("00-", "fe-", 1) + "-more"])
def test_a_valid_trace_passes_with_its_state(envoy: StaticEnvoy, origin: Origin, parent: str) -> None:
    envoy.ask("a", "/a", {"traceparent": parent, "tracestate": "v=1"})
    assert (origin.last.header("traceparent"), origin.last.header("tracestate")) == (parent, "v=1")


@pytest.mark.parametrize(
    "parent",
    [
        "",
        "x",
        VALID.upper(),
        VALID.replace("00-", "ff-", 1),
        f"{VALID}-x",
        "00-" + "0" * 32 + "-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-" + "0" * 16 + "-01",
        VALID.replace("3331", "333g"),
        VALID[:-1],
        VALID.replace("00-", "01-", 1) + "more",
    ],
)
def test_a_request_without_valid_trace_begins_one_named_by_its_id(
    envoy: StaticEnvoy, origin: Origin, parent: str
) -> None:
    response = envoy.ask("a", "/a", {"traceparent": parent, "tracestate": "v=1"} if parent else {})
    begun = re.fullmatch(r"00-0{5}\d{19}(\w{8})-(\w{8})\d{8}-00", origin.last.header("traceparent") or "")
    assert begun is not None
    assert {*begun.groups()} == {(response.header("x-request-id") or "")[:8]}
    assert origin.last.header("tracestate") is None
    assert envoy.logged(response)["traceparent"] == origin.last.header("traceparent")


@pytest.mark.parametrize(
    "octets",
    [
        b"GET /a b HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\nx_y: 1\r\n\r\n",
        b"GET /a%00 HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"y" * 70_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\n" + b"x: y\r\n" * 101 + b"\r\n",
    ],
)
def test_malformed_requests_are_refused(envoy: StaticEnvoy, octets: bytes) -> None:
    with Connection(envoy.port) as connection:
        response = connection.send(octets)
    assert response.status in (400, 431)
    assert response.reason == "ingress/malformed-request"


def test_forged_hops_never_reach_the_upstream(envoy: StaticEnvoy, origin: Origin) -> None:
    forged = {"x-forwarded-for": "9.9.9.9", "x-forwarded-host": "evil", "x-forwarded-proto": "https"}
    response = envoy.ask(
        "a", "/a", {**forged, "forwarded": "for=9.9.9.9", "x-real-ip": "9.9.9.9", "x-request-id": "mine"}
    )
    seen = origin.last
    assert "9.9.9.9" not in json.dumps(seen.headers)
    assert (seen.header("x-forwarded-host"), seen.header("x-forwarded-proto")) == (None, "http")
    assert response.header("x-request-id") not in (None, "mine")
    assert response.header("server") == "fastforward"


def test_the_log_has_the_path_as_it_was_asked_for(envoy: StaticEnvoy) -> None:
    line = envoy.logged(envoy.ask("a", "/a/x?q=1"))
    assert (line["path"], line["upstream"], line["edge"], line["listener"]) == (
        "/a/x?q=1",
        ORIGIN,
        "shop/public",
        "http",
    )
