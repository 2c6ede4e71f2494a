"""The request as the proxy's listener leaves it."""

import pytest
from fastforward_pipeline import Reason, Refusal, Request, Trail
from fastforward_pipeline.stages.normalization import EscapedSlashes, normalize, normalize_path, strip_port
from hypothesis import given, settings
from hypothesis import strategies as st

from support.decision_snapshots import HOST, NOW, ask, decided, host, plan, snapshot
from support.path_variants import VARIANTS, reaches

WORLD = snapshot(host(plan("admin", "/admin"), plan("all", "/")))


@pytest.mark.parametrize(("raw", "canonical"), VARIANTS, ids=range(len(VARIANTS)))
def test_a_path_is_read_as_the_proxy_reads_it(raw: str, canonical: str | None) -> None:
    assert normalize_path(raw, EscapedSlashes.UNESCAPE) == canonical


@pytest.mark.parametrize(("raw", "canonical"), VARIANTS, ids=range(len(VARIANTS)))
def test_no_way_to_write_a_path_gets_around_the_rule_for_it(raw: str, canonical: str | None) -> None:
    decision = decided(WORLD, ask(raw))
    if canonical is None:
        assert decision.reason in {Reason.MALFORMED, Reason.NO_ROUTE}
    else:
        assert decision.route == ("shop/admin" if reaches(canonical) else "shop/all")


@settings(deadline=None)
@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30))
def test_canonical_paths_have_no_dot_segments_and_stay_as_they_are(text: str) -> None:
    once = normalize_path(f"/{text}", EscapedSlashes.UNESCAPE)
    if once is not None:
        bare = once.partition("?")[0]
        assert not {".", ".."} & set(bare.split("/"))
        assert "\\" not in bare
        assert "//" not in bare.rstrip("/")


@pytest.mark.parametrize(
    ("policy", "path", "expected"),
    [
        (EscapedSlashes.KEEP, "/a%2Fb%5c", "/a%2Fb%5c"),
        (EscapedSlashes.REJECT, "/a%2fb", None),
        (EscapedSlashes.REJECT, "/a%5Cb", None),
        (EscapedSlashes.REJECT, "/a%20b", "/a%20b"),
        (EscapedSlashes.UNESCAPE, "/a%2fb?c%2fd", "/a/b?c%2fd"),
    ],
)
def test_escaped_slashes_follow_the_policy(policy: EscapedSlashes, path: str, expected: str | None) -> None:
    assert normalize_path(path, policy) == expected


def test_an_asterisk_is_a_target_for_options_alone() -> None:
    assert decided(WORLD, ask("*", "OPTIONS")).reason is Reason.NO_ROUTE
    assert decided(WORLD, ask("*", "GET")).reason is Reason.MALFORMED


@pytest.mark.parametrize(
    ("given_host", "without_port"),
    [
        ("a.example.com:8080", "a.example.com"),
        ("a.example.com:", "a.example.com:"),
        ("a.example.com:abc", "a.example.com:abc"),
        ("a.example.com:70000", "a.example.com"),
        ("a:99999999999", "a:99999999999"),
        ("a:4294967295", "a"),
        ("a:4294967296", "a:4294967296"),
        ("a:+80", "a"),
        ("a:-1", "a:-1"),
        ("a:80:90", "a:80"),
        ("[::1]:80", "[::1]"),
        ("[::1]", "[::1]"),
        (":80", ""),
    ],
)
def test_a_port_is_what_the_proxy_takes_for_one(given_host: str, without_port: str) -> None:
    assert strip_port(given_host) == without_port


@pytest.mark.parametrize("given_host", [HOST, "API.Example.Com", f"{HOST}:8080", f"{HOST}.", f"{HOST}.:443"])
def test_a_host_is_found_in_any_case_with_port_and_closing_dot(given_host: str) -> None:
    assert decided(WORLD, ask(host=given_host)).route == "shop/all"


@pytest.mark.parametrize("given_host", ["a b", "a/b", "a\\b", "a<b", "caf\xe9.example", 'a"b', "a\x00b"])
def test_a_host_with_characters_that_no_host_has_is_malformed(given_host: str) -> None:
    decision = decided(WORLD, ask(host=given_host))
    assert (decision.status, decision.reason) == (400, Reason.MALFORMED)


def test_header_names_with_underscores_are_malformed() -> None:
    assert decided(WORLD, ask(headers={"x_forged": "1"})).reason is Reason.MALFORMED


def test_what_has_changed_is_told() -> None:
    trail = Trail()
    decided(WORLD, ask("/a/../admin", host=f"{HOST}:80"), trail=trail)
    (finding,) = [finding for finding in trail.findings if finding.stage == "normalization"]
    assert finding.detail == f"the host '{HOST}:80' is read as '{HOST}'; the path '/a/../admin' is read as '/admin'"


def test_a_request_that_the_proxy_has_normalised_is_left_alone() -> None:
    request = ask("/admin%2Fx", plan="admin")
    assert decided(WORLD, request).route == "shop/admin"


def test_the_query_is_never_touched() -> None:
    request = normalize(Request(method="GET", host=HOST, path="/a/..//b?x=/../%2f//", now=NOW))
    assert not isinstance(request, Refusal)
    assert request.path == "/b?x=/../%2f//"


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (ask(headers={"x_a": "1"}), "headers"),
        (ask(host="a b"), "host"),
        (ask("books"), "path"),
    ],
)
def test_a_malformed_request_says_where(request_: Request, field: str) -> None:
    refusal = normalize(request_)
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.object, refusal.field) == (Reason.MALFORMED, "request", field)
