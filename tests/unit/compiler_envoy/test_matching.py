"""Which entry a request takes, asked of a real Envoy: paths, precedence, conditions, hosts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fastforward_compiler import ir

from support.ir_values import EDGE, delta, edge, entry, scope, table, text
from support.static_envoy import StaticEnvoy

Serve = Callable[..., StaticEnvoy]

PATHS = (
    entry("exact", "/x/e", match={"path_type": ir.PathType.EXACT}),
    entry("exact-if", "/x/if", match={"path_type": ir.PathType.EXACT, "methods": ("POST",)}),
    entry("regex", "/x/[0-9]+", match={"path_type": ir.PathType.REGEX}),
    entry("regex-if", "/x/[a-z]", match={"path_type": ir.PathType.REGEX, "headers": (text("x-r", "Present"),)}),
    entry("deep-if", "/x/y/z", match={"headers": (text("x-d", "Exact", "1"),)}),
    entry("deep", "/x/y"),
    entry("x", "/x"),
)
URGENT = (entry("urgent", "/x", priority=5, match={"headers": (text("x-urgent", "Present"),)}),)
LAST = (entry("last", "/x/low", priority=-5), entry("rest", "/rest", priority=-5))
CONDITIONS = (
    entry("method", "/m", match={"methods": ("GET", "HEAD")}),
    entry("equal", "/h", match={"headers": (text("x-a", "Exact", "1"), text("x-b", "Exact"))}),
    entry("starts", "/h", match={"headers": (text("x-a", "Prefix", "ab"),)}),
    entry("pattern", "/h", match={"headers": (text("x-a", "Regex", "[0-9]{3}"),)}),
    entry("there", "/h", match={"headers": (text("x-c", "Present"),)}),
    entry("v2", "/v", match={"api_version": "v2"}),
    entry("v1", "/v", match={"api_version": "v1"}),
    entry("here", "/l", match={"listener": "http"}),
    entry("elsewhere", "/l2", match={"listener": "other"}),
)
QUERIES = (
    entry("equal", "/q", match={"query": (text("k", "Exact", "v"),)}),
    entry("both", "/q", match={"query": (text("a", "Exact", "1"), text("b", "Exact", "2"))}),
    entry("empty", "/q", match={"query": (text("e", "Exact"),)}),
    entry("starts", "/q", match={"query": (text("pre", "Prefix", "ab"),)}),
    entry("pattern", "/q", match={"query": (text("rx", "Regex", "a.*z|^[!-~]$"),)}),
    entry("there", "/q", match={"query": (text("there", "Present"),)}),
    entry("strange", "/q", match={"query": (text("a.b*", "Exact", "1+1"), text("x&y", "Present"))}),
)


@pytest.fixture(scope="module")
def envoy(serve: Serve) -> StaticEnvoy:
    hosts = {
        "paths.test": URGENT + PATHS + LAST,
        "conditions.test": CONDITIONS,
        "queries.test": QUERIES,
        "empty.test": (),
        "*.test": (entry("wild"),),
        "*.deep.test": (entry("deep-wild"),),
        "*": (entry("star", "/star"),),
        "many.test": tuple(entry(f"p{n}", f"/{n}", priority=-n) for n in range(120)),
    }
    return serve(
        lambda port: delta(
            edges=(edge(port, api_version_default="v1"),),
            scopes=tuple(map(scope, hosts)),
            tables=tuple(table(host, *entries) for host, entries in hosts.items()),
        )
    )


def rule(envoy: StaticEnvoy, host: str, target: str, headers: object = (), method: str = "GET") -> str:
    """Name of the rule that answered; the reason of a refusal."""
    response = envoy.ask(host, target, headers, method=method)  # ty: ignore[invalid-argument-type]
    return response.body if response.status == 200 else response.reason or str(response.status)


NONE = "routing/no-route"


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/x", "x"),
        ("/x?q=/x/e", "x"),
        ("/x/", "x"),
        ("/x/b?q", "x"),
        ("/xy", NONE),
        ("/x/e", "exact"),
        ("/x/e?q=1", "exact"),
        ("/x/e/", "x"),
        ("/x/12", "regex"),
        ("/x/12?a", "regex"),
        ("/x/12/a", "x"),
        ("/x/y/z/a", "deep"),
        ("/x/yy", "x"),
        ("/x/low", "x"),
        ("/rest/a", "rest"),
        ("/a/../x", "x"),
        ("//x//y", "deep"),
        ("/x/%2e%2e/rest", "rest"),
        ("/x%2fy", "deep"),
        ("/none", NONE),
        ("/", NONE),
    ],
)
def test_paths_match_by_whole_segments_and_without_their_query(envoy: StaticEnvoy, target: str, expected: str) -> None:
    assert rule(envoy, "paths.test", target) == expected


@pytest.mark.parametrize(
    ("target", "headers", "expected"),
    [
        ("/x/if", {}, "x"),
        ("/x/a", {}, "x"),
        ("/x/a", {"x-r": ""}, "regex-if"),
        ("/x/y/z", {}, "deep"),
        ("/x/y/z", {"x-d": "1"}, "deep-if"),
        ("/x/e", {"x-urgent": "1"}, "urgent"),
        ("/rest", {"x-urgent": "1"}, "rest"),
    ],
)
def test_an_entry_whose_conditions_fail_gives_way_to_the_next(
    envoy: StaticEnvoy, target: str, headers: dict[str, str], expected: str
) -> None:
    assert rule(envoy, "paths.test", target, headers) == expected


@pytest.mark.parametrize(
    ("target", "headers", "expected"),
    [
        ("/m", {}, "method"),
        ("/h", {}, NONE),
        ("/h", {"x-a": "1"}, NONE),
        ("/h", {"x-a": "1", "x-b": ""}, "equal"),
        ("/h", [("x-a", "1"), ("x-a", "1"), ("x-b", "")], NONE),
        ("/h", {"x-a": "abc"}, "starts"),
        ("/h", [("x-a", "ab"), ("x-a", "z")], "starts"),
        ("/h", {"x-a": "aab"}, NONE),
        ("/h", {"x-a": "123"}, "pattern"),
        ("/h", {"x-a": "1234"}, NONE),
        ("/h", {"x-c": ""}, "there"),
        ("/h", {"x-c": "\xff"}, "there"),
        ("/v", {}, "v1"),
        ("/v", {"x-api-version": "v1"}, "v1"),
        ("/v", {"x-api-version": "v2"}, "v2"),
        ("/v", {"x-api-version": "v3"}, NONE),
        ("/v", {"x-api-version": ""}, NONE),
        ("/l", {}, "here"),
        ("/l2", {}, NONE),
        ("/l2", {"x-ff-listener": "other"}, NONE),
    ],
)
def test_conditions_on_headers_versions_and_listeners(
    envoy: StaticEnvoy, target: str, headers: object, expected: str
) -> None:
    assert rule(envoy, "conditions.test", target, headers) == expected


@pytest.mark.parametrize(("method", "expected"), [("GET", "method"), ("POST", NONE), ("OPTIONS", NONE)])
def test_conditions_on_methods(envoy: StaticEnvoy, method: str, expected: str) -> None:
    assert rule(envoy, "conditions.test", "/m", method=method) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("k=v", "equal"),
        ("x=1&k=v&y", "equal"),
        ("k=w&k=v", NONE),
        ("kk=v&k=v", "equal"),
        ("kk=v", NONE),
        ("=v&k=v", "equal"),
        ("&&k=v", "equal"),
        ("k=vv", NONE),
        ("K=v", NONE),
        ("%6b=v", NONE),
        ("b=2&a=1", "both"),
        ("a=1", NONE),
        ("e", "empty"),
        ("e=", "empty"),
        ("e=1", NONE),
        ("ee", NONE),
        ("pre=abc&z", "starts"),
        ("pre=a", NONE),
        ("rx=abcz", "pattern"),
        ("rx=ab&b=z", NONE),
        ("rx=%26", NONE),
        ("rx=!", "pattern"),
        ("rx=&", NONE),
        ("there", "there"),
        ("x&there=1", "there"),
        ("ther", NONE),
        ("a.b*=1+1&x&y", NONE),
        ("", NONE),
        ("?k=v", NONE),
    ],
)
def test_a_query_parameters_first_value_counts_as_it_was_written(envoy: StaticEnvoy, query: str, expected: str) -> None:
    assert rule(envoy, "queries.test", f"/q?{query}") == expected


@pytest.mark.parametrize(
    ("host", "target", "expected"),
    [
        ("paths.test", "/x", "x"),
        ("PATHS.Test", "/x", "x"),
        ("paths.test:8080", "/x", "x"),
        ("paths.test.", "/x", "x"),
        ("PATHS.test.:1", "/x", "x"),
        ("PATHS.test", "/none", NONE),
        ("other.test", "/x", "wild"),
        ("Other.TEST:9", "/x", "wild"),
        ("a.b.c.test", "/", "wild"),
        ("a.deep.test", "/", "deep-wild"),
        ("a.b.DEEP.test", "/", "deep-wild"),
        ("deep.test", "/", "wild"),
        ("test", "/star", "star"),
        ("elsewhere.org", "/star", "star"),
        ("Elsewhere.org", "/none", NONE),
        ("empty.test", "/", NONE),
        ("paths.test,other.test", "/x", NONE),
        ("paths.test,other.test", "/star", "star"),
        ("user@paths.test", "/x", NONE),
        ("user@other.test", "/", NONE),
        ("[::1]", "/star", "star"),
        ("[2001:DB8::1]:8080", "/star", "star"),
        ("[::ffff:1.paths.test]", "/", NONE),
        ("::1", "/star", "star"),
        ("192.0.2.1:8080", "/star", "star"),
        ("a!b", "/star", "star"),
        ("a!b.deep.test", "/", NONE),
        ("A!b.deep.test:1", "/star", "star"),
        ("*.TEST", "/", "wild"),
        ("other.test:x", "/", "wild"),
        ("Paths.test:x", "/x", "x"),
        (f"{EDGE}|paths.test", "/x", "ingress/malformed-request"),
    ],
)
def test_a_host_has_its_own_table_or_that_of_the_longest_wildcard(
    envoy: StaticEnvoy, host: str, target: str, expected: str
) -> None:
    assert rule(envoy, host, target) == expected


def test_more_priorities_than_envoy_allows_nested_matchers(envoy: StaticEnvoy) -> None:
    assert [rule(envoy, "many.test", f"/{number}") for number in (0, 60, 119)] == ["p0", "p60", "p119"]


def test_what_clients_may_not_say_leads_nowhere(envoy: StaticEnvoy) -> None:
    forged = {"x-ff-scope": f"{EDGE}|other.test", "x-ff-table": "t1", "x-ff-path": "/x/e", "x-ff-select": "s"}
    assert rule(envoy, "paths.test", "/x", forged) == "x"
