"""What ingress-nginx does with a host is done after the import too: which path is asked first, and what it takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import re2
import yaml
from fastforward_operator.importing.pathregex import has_anchor, literal_head, location_regex, search_regex

from support.ff import ff
from support.imports import Document, ingress, path, rules, run
from support.resources import endpoint_slice, service

GUARD = {"whitelist_source_range": "10.0.0.0/8"}
GROUPS = {"use_regex": "true", "rewrite_target": "/$1"}
ANY = "ImplementationSpecific"


def chosen(tmp_path: Path, *documents: Document, paths: tuple[str, ...]) -> list[str]:
    """The upstreams that requests from nowhere near reach, or the statuses that refuse them."""
    _, said = run(tmp_path, *documents)
    names = ("web", "other")
    besides = [service(name, {"port": 80}) for name in names]
    besides += [endpoint_slice(name, {"addresses": ["127.0.0.1"]}, ports=({"port": 80},)) for name in names]
    beside = tmp_path / "besides"
    beside.mkdir()
    (beside / "all.yaml").write_text(yaml.safe_dump_all(besides))
    found = []
    for asked in paths:
        words = ("explain", "request", "GET", f"http://a.test{asked}", "--address", "192.0.2.1", "-o", "json")
        answered = ff(*words, "--from", tmp_path / "out", "--from", beside).json
        found.append(answered["upstream"].removeprefix("default/") or str(answered["status"]))
    assert " 0 no equivalent" in said.err
    return found


@pytest.mark.parametrize("kind", ["Prefix", "Exact", ANY])
def test_a_guard_is_asked_before_the_shorter_expression_of_another_ingress(tmp_path: Path, kind: str) -> None:
    everything = ingress(path("/(.*)", ANY), name="app", **GROUPS)
    admin = ingress(path("/admin", kind, "other"), name="admin", **GUARD)
    asked = ("/admin", "/ADMIN/x", "/adminx", "/x")
    assert chosen(tmp_path, everything, admin, paths=asked) == ["403", "403", "403", "web-80"]


def test_a_prefix_of_a_host_with_expressions_counts_with_a_slash_at_its_end(tmp_path: Path) -> None:
    between = ingress(path("/[a-z]+", ANY), name="app", use_regex="true")
    admin = ingress(path("/admin", "Prefix", "other"), name="admin", **GUARD)
    assert chosen(tmp_path, between, admin, paths=("/admin/x", "/admin")) == ["403", "web-80"]


def test_an_expression_that_ends_comes_before_the_same_text_without_end(tmp_path: Path) -> None:
    both = ingress(path("/foo", ANY), path("/foo$", ANY, "other"), use_regex="true")
    assert chosen(tmp_path, both, paths=("/foo", "/foo/x")) == ["other-80", "web-80"]


def test_a_rewrite_to_a_fixed_path_takes_what_begins_so_in_any_case(tmp_path: Path) -> None:
    rewritten = ingress(path("/foo"), rewrite_target="/")
    assert chosen(tmp_path, rewritten, paths=("/foo", "/FOO/x", "/foobar")) == ["web-80"] * 3


def test_a_host_without_name_comes_after_those_with_one(tmp_path: Path) -> None:
    """For nginx a host is a server of its own."""
    named = ingress(path("/admin", to="other"), name="named", **GUARD)
    anywhere = ingress(path("/admin/[a-z]+", ANY), name="anywhere", host="", use_regex="true")
    assert chosen(tmp_path, named, anywhere, paths=("/admin/open",)) == ["403"]


def test_its_own_path_as_target_asks_for_no_expressions(tmp_path: Path) -> None:
    found, _ = run(tmp_path, ingress(path("/"), path("/a/b"), rewrite_target="/", name="x", host="b.test"))
    assert {rule["matches"][0]["path"]["type"] for rule in rules(found)} == {"Regex"}
    (tmp_path / "only").mkdir()
    found, _ = run(tmp_path / "only", ingress(path("/a"), rewrite_target="/a"), ingress(path("/b"), name="b"))
    assert {rule["matches"][0]["path"]["type"] for rule in rules(found)} == {"Prefix"}
    assert not any("rewrite" in rule for rule in rules(found))


def test_canaries_find_the_paths_of_a_host_with_expressions(tmp_path: Path) -> None:
    main = ingress(path("/a/(.*)", ANY), **GROUPS)
    canary = ingress(path("/a/(.*)", ANY, "other"), name="canary", canary="true", canary_weight="20")
    found, _ = run(tmp_path, main, canary)
    assert [each["weight"] for each in rules(found)[0]["upstreams"]] == [80, 20]


def test_many_paths_that_share_nothing_need_no_order_of_their_own(tmp_path: Path) -> None:
    paths = [path(f"/s{number:02}(/|$)(.*)", ANY) for number in range(30)]
    found, said = run(tmp_path, ingress(*paths, use_regex="true", rewrite_target="/$2"))
    assert "0 changed" in said.err
    assert not any("priority" in route for route in found["Route"])


@pytest.mark.parametrize(
    "written",
    ["/", "/a", "/a.b", "/a|/b", "/a$", "/a$|/b", "/(a|b)", "/a(/|$)(.*)", "/a(?:/|$)", "/a($|/)(.*)", "^/a", r"/a\$"],
)
def test_an_expression_takes_what_nginx_takes(written: str) -> None:
    made, anywhere = location_regex(written), search_regex(written)
    assert not has_anchor(made + anywhere)
    for asked in ("/", "/a", "/A", "/a/", "/a/b", "/ab", "/b", "/x/b", "/a.b", "/a-b", "/a$", "/x/a"):
        before = re.search(f"^{written}", asked, re.IGNORECASE) is not None
        assert (re2.fullmatch(made, asked) is not None) == before, asked
        assert (re2.fullmatch(anywhere, asked) is not None) == (re.search(written, asked) is not None), asked


@pytest.mark.parametrize("written", ["/a(?!b)", "/x/^b", "/a(", r"/a(/|$)\w"])
def test_a_guarded_expression_that_cant_be_said_closes_what_begins_like_it(tmp_path: Path, written: str) -> None:
    found, said = run(tmp_path, ingress(path(written, ANY), use_regex="true", **GUARD))
    (rule,) = rules(found)
    assert rule["respond"]["status"] == 403
    assert re2.fullmatch(rule["matches"][0]["path"]["value"], f"{written[:2]}/more") is not None
    assert "1 no equivalent" in said.err


@pytest.mark.parametrize(
    ("expression", "head"),
    [
        ("(?i)/Foo.*", "/foo"),
        (r"/a\.b[^/].*", "/a.b"),
        ("(?i)(?:/a|/b)", ""),
        ("/ab?c", "/a"),
        (".*/a", ""),
        ("a|b", ""),
    ],
)
def test_what_an_expression_begins_with(expression: str, head: str) -> None:
    assert literal_head(expression) == head


@pytest.mark.parametrize(
    ("annotations", "certified", "sent"),
    [
        ({}, ["a.test"], True),
        ({}, ["*.test"], True),
        ({}, [], True),
        ({}, ["*.a.test"], False),
        ({}, None, False),
        ({"force_ssl_redirect": "false"}, ["a.test"], True),
        ({"force_ssl_redirect": "true", "ssl_redirect": "false"}, ["b.test"], True),
        ({"ssl_redirect": "true"}, None, False),
        ({"ssl_redirect": "false"}, ["a.test"], False),
    ],
    ids=str,
)
def test_clear_text_is_sent_to_https_where_nginx_sends_it(
    tmp_path: Path, annotations: dict[str, str], certified: list[str] | None, sent: bool
) -> None:
    document = ingress(path(), **annotations)
    if certified is not None:
        document["spec"]["tls"] = [{"hosts": certified, "secretName": "tls"}]
    found, _ = run(tmp_path, document)
    assert any("redirect" in rule for rule in rules(found)) == sent
    assert ("https" in {each["name"] for each in found["Edge"][0]["listeners"]}) == (certified is not None or sent)


def test_the_certificate_of_another_ingress_of_the_host_sends_to_https_too(tmp_path: Path) -> None:
    certified = ingress(path("/a"), name="a")
    certified["spec"]["tls"] = [{"hosts": ["a.test"], "secretName": "tls"}]
    found, _ = run(tmp_path, certified, ingress(path("/b"), name="b"))
    sent = [rule["matches"][0]["path"]["value"] for rule in rules(found) if "redirect" in rule]
    assert sent == ["/a", "/b"]


def test_the_root_is_sent_to_the_app_of_a_host_with_expressions_too(tmp_path: Path) -> None:
    found, _ = run(tmp_path, ingress(path("/"), use_regex="true", app_root="/app"))
    assert {"path": "/app", "status": 302} in [rule.get("redirect") for rule in rules(found)]


@pytest.mark.parametrize("target", ["/y?id=$1", "/y/$host/$1", "/y/$id"])
def test_a_target_that_is_more_than_groups_closes_its_rules(tmp_path: Path, target: str) -> None:
    written = "/x/(?P<id>.*)" if "$id" in target else "/x/(.*)"
    found, said = run(tmp_path, ingress(path(written, ANY), use_regex="true", rewrite_target=target))
    assert [rule["respond"]["status"] for rule in rules(found)] == [403]
    assert "answer 403" in said.err


@pytest.mark.parametrize(
    ("target", "substitution"), [("/y/$1", r"/y/\1"), ("/y/$2", "/y/"), (r"/a\1/$1", r"/a\\1/\1"), ("/$1$1", r"/\1\1")]
)
def test_groups_of_a_target_are_those_of_the_path(tmp_path: Path, target: str, substitution: str) -> None:
    found, _ = run(tmp_path, ingress(path("/x/(?P<id>.*)", ANY), use_regex="true", rewrite_target=target))
    assert rules(found)[0]["rewrite"]["regex"]["substitution"] == substitution


@pytest.mark.parametrize(
    ("url", "redirect"),
    [
        ("https://new.test/a", {"scheme": "https", "host": "new.test", "path": "/a", "status": 301}),
        ("https://new.test:444$request_uri", {"scheme": "https", "host": "new.test", "port": 444, "status": 301}),
        ("https://new.test/$request_uri", {"scheme": "https", "host": "new.test", "status": 301}),
        ("https://$host/", None),
        ("https://new.test/a$request_uri", None),
        ("https://new.test:99999/", None),
        ("https://[new.test/", None),
        ("https://-/", None),
    ],
)
def test_a_redirect_is_said_or_closes_its_rules(tmp_path: Path, url: str, redirect: Document | None) -> None:
    found, _ = run(tmp_path, ingress(path(), permanent_redirect=url))
    (rule,) = rules(found)
    assert rule.get("redirect") == redirect
    assert ("respond" in rule) == (redirect is None)


def test_an_alias_that_is_no_host_is_told(tmp_path: Path) -> None:
    found, said = run(tmp_path, ingress(path(), server_alias=r"~^www\d+\.a\.test$, Other.test"))
    assert [route["hosts"] for route in found["Route"]] == [["a.test", "other.test"]]
    assert "is no name of a host" in said.err


@pytest.mark.parametrize("number", ["--5", "5-", "\u00b2", "", "9" * 5000])
def test_what_is_no_number_is_told(tmp_path: Path, number: str) -> None:
    _, said = run(tmp_path, ingress(path(), proxy_read_timeout=number, proxy_body_size=number))
    assert "Wanted is a whole number." in said.err
