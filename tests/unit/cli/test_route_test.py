"""`ff test` passes what holds, and says of what does not what was expected, what came, and why."""

from pathlib import Path
from typing import NoReturn
from xml.etree import ElementTree as ET

import pytest

from support.ff import Said, ff
from support.repository import ROOT

RESOURCES = ROOT / "examples" / "bookshop" / "resources"


def run(folder: Path, text: str, *options: str | Path) -> Said:
    (folder / "some.test.yaml").write_text(text)
    return ff("test", RESOURCES, folder, *options)


def case(request: str, expect: str) -> str:
    return f"tests:\n  - name: a claim\n    request: {{{request}}}\n    expect: {{{expect}}}\n"


def test_the_bookshop_keeps_its_promises() -> None:
    said = ff("test", ROOT / "examples" / "bookshop")
    assert said.code == 0
    assert said.out.endswith("17 tests, none failed.\n")


@pytest.mark.parametrize(
    ("request_", "expect", "told"),
    [
        ("url: http://bookshop.localhost/none", "status: 200", "status: expected 200, got 404 (routing/no-route: "),
        ("url: http://bookshop.localhost/books", "route: a/b", "route: expected a/b, got bookshop/books"),
        ("url: http://bookshop.localhost/books", "rule: x", "rule: expected x, got browse"),
        (
            "url: http://bookshop.localhost/books",
            "upstreams: {bookshop/catalog-v1: 1}",
            "upstreams: expected bookshop/catalog-v1 100.0%, got bookshop/catalog-v1 90.0%, bookshop/catalog-v2 10.0%",
        ),
        ("url: http://bookshop.localhost/books", "tenant: acme", "tenant: expected acme, got none"),
        (
            "url: http://dev.bookshop.localhost/echo, headers: {x-debug: '1'}",
            "requestHeaders: {x-debug: '1', x-environment: production}",
            "requestHeaders.x-environment: expected production, got development",
        ),
        (
            "url: http://bookshop.localhost/catalogue",
            "responseHeaders: {location: null}",
            "responseHeaders.location: expected none, got /books",
        ),
        (
            "url: http://bookshop.localhost/books",
            "wouldRefuse: [admission/body-too-large]",
            "wouldRefuse: expected admission/body-too-large, got none",
        ),
        ("url: nowhere", "status: 200", "request.url"),
    ],
    ids=["status", "route", "rule", "upstreams", "tenant", "request header", "response header", "shadow", "url"],
)
def test_a_difference_is_told_with_what_was_expected_and_what_came(
    tmp_path: Path, request_: str, expect: str, told: str
) -> None:
    said = run(tmp_path, case(request_, expect))
    assert said.code == 1
    assert told in said.out + said.err


def test_weights_are_compared_as_shares(tmp_path: Path) -> None:
    upstreams = "upstreams: {bookshop/catalog-v1: 9, bookshop/catalog-v2: 1}"
    assert run(tmp_path, case("url: http://bookshop.localhost/books", upstreams)).code == 0


def test_a_limit_is_reached_by_as_many_requests_as_the_plan_allows(tmp_path: Path) -> None:
    def last_of(times: int) -> str:
        token = "token: {tenant: globex, sub: bob}"
        return f"url: http://bookshop.localhost/orders/1, {token}, times: {times}"

    assert run(tmp_path, case(last_of(5), "status: 200")).code == 0
    assert run(tmp_path, case(last_of(6), "status: 429, reason: ratelimit/exceeded")).code == 0


@pytest.mark.parametrize(
    ("token", "status"),
    [
        ("tenant: acme", 200),
        ("tenant: acme, exp: 1", 401),
        ("tenant: acme, iss: https://elsewhere.example", 401),
        ("tenant: acme, aud: [others]", 403),
        ("sub: nobody", 200),
    ],
    ids=["valid", "expired", "foreign issuer", "foreign audience", "no tenant"],
)
def test_tokens_are_real_and_judged_as_in_traffic(tmp_path: Path, token: str, status: int) -> None:
    url = "http://admin.bookshop.localhost/admin/stock"
    roles = "roles: [admin]"
    assert run(tmp_path, case(f"url: '{url}', token: {{{token}, {roles}}}", f"status: {status}")).code == 0


def test_an_unknown_field_is_refused_with_its_line(tmp_path: Path) -> None:
    said = run(tmp_path, "tests:\n  - name: x\n    request: {url: http://a/}\n    expect: {statos: 200}\n")
    assert said.code == 1
    assert said.err.startswith(f"{tmp_path}/some.test.yaml:4: tests[0].expect.statos: This field is not known.")
    assert "Did you mean status?" in said.err


def test_a_directory_without_tests_is_told(tmp_path: Path) -> None:
    said = ff("test", tmp_path)
    assert said.code == 1
    assert "There are no tests in" in said.err


def test_broken_resources_are_named_as_a_likely_cause(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("kind: Route\n")
    said = run(tmp_path, case("url: http://bookshop.localhost/books", "status: 200"))
    assert "The resources have 1 problem, which may be why: ff validate" in said.err


def test_junit_names_file_claim_and_difference(tmp_path: Path) -> None:
    report = tmp_path / "results.xml"
    run(tmp_path, case("url: http://bookshop.localhost/<none>", "status: 200"), "--junit", report)
    root = ET.fromstring(report.read_text())
    assert root.attrib["tests"] == root.attrib["failures"] == "1"
    found = root.find("testsuite/testcase")
    assert found is not None
    assert (found.attrib["name"], found.attrib["classname"]) == ("a claim", f"{tmp_path}/some.test.yaml")
    failure = found.find("failure")
    assert failure is not None
    assert failure.attrib["message"].startswith("status: expected 200, got 4")
    assert f"{tmp_path}/some.test.yaml:2" in (failure.text or "")


@pytest.mark.parametrize("name", [r"a \x01 claim", r"a \uFFFE claim", r"a \x7f claim"])
def test_junit_is_read_whatever_a_claim_holds(tmp_path: Path, name: str) -> None:
    report = tmp_path / "results.xml"
    text = case("url: http://bookshop.localhost/<none>", "status: 200").replace("a claim", f'"{name}"')
    run(tmp_path, text, "--junit", report)
    found = ET.fromstring(report.read_bytes()).find("testsuite/testcase")
    assert found is not None
    assert found.attrib["name"] in ("a \ufffd claim", "a \x7f claim")


def test_tests_behind_a_link_are_run_as_resources_there_are_read(tmp_path: Path) -> None:
    inner = tmp_path / "elsewhere"
    (tmp_path / "tests/.hidden").mkdir(parents=True)
    inner.mkdir()
    for folder, name in ((inner, "b.test.yaml"), (tmp_path / "tests", "a.test.yml"), (inner, ".c.test.yaml")):
        (folder / name).write_text(case("url: http://bookshop.localhost/books", "status: 404"))
    (tmp_path / "tests/.hidden/d.test.yaml").write_text("tests: none")
    (tmp_path / "tests/linked").symlink_to(inner)
    (inner / "round").symlink_to(tmp_path / "tests")
    said = ff("test", RESOURCES, tmp_path / "tests")
    assert said.code == 1
    assert "2 tests, 2 failed." in said.out
    places = [line.split()[1] for line in said.out.splitlines() if line.startswith("FAIL")]
    assert places == [f"{tmp_path}/tests/a.test.yml:2", f"{tmp_path}/tests/linked/b.test.yaml:2"]


def test_a_folder_that_cannot_be_read_is_not_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def scandir(path: str) -> NoReturn:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("fastforward_operator.providers.tree.os.scandir", scandir)
    assert ff("test", tmp_path).err == f"{tmp_path}: The folder can't be read: Permission denied.\n"


def test_json_lists_every_test(tmp_path: Path) -> None:
    told = run(tmp_path, case("url: http://bookshop.localhost/health", "status: 200, rule: health"), "-o", "json").json
    assert told == [{"name": "a claim", "at": f"{tmp_path}/some.test.yaml:2", "passed": True, "differences": []}]
