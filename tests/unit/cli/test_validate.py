"""`ff validate` finds everything that is wrong, with file, line, field and remedy, and nothing in what is right."""

from pathlib import Path

import pytest
import yaml

from support.closed import close_folder
from support.ff import ff
from support.repository import ROOT

ROUTE = """\
# A comment.
apiVersion: gateway.fastforward.dev/v1alpha1
kind: Route
metadata: {name: books}
spec:
  edges: [{name: public}]
  rules:
    - matches: [{path: {value: /books}}]
      upstreams: [{name: nowhere}]
"""


def test_the_bookshop_has_no_problems() -> None:
    said = ff("validate", ROOT / "examples" / "bookshop")
    assert (said.code, said.out) == (0, "26 objects, no problems.\n")


def test_a_reference_to_nothing_is_told_at_its_own_line(tmp_path: Path) -> None:
    (tmp_path / "route.yaml").write_text(ROUTE)
    said = ff("validate", tmp_path)
    assert said.code == 1
    where = f"{tmp_path}/route.yaml"
    assert said.out == (
        f"{where}:6: Route default/books: spec.edges[0]: Edge default/public was not found. (EdgeNotFound)\n"
        f"{where}:9: Route default/books: spec.rules[0].upstreams[0]: Upstream default/nowhere was not found."
        " (UpstreamNotFound)\n"
        "1 object, 2 problems.\n"
    )


def test_an_unknown_field_is_told_with_the_one_that_is_meant(tmp_path: Path) -> None:
    (tmp_path / "route.yaml").write_text(ROUTE.replace("upstreams:", "upstream:"))
    said = ff("validate", tmp_path)
    assert "route.yaml:9: Route default/books: spec.rules[0].upstream: This field is not known." in said.out
    assert "Did you mean upstreams?" in said.out


def test_text_that_is_no_yaml_does_not_hide_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"{ROUTE}---\na: [\n---\n{ROUTE.replace('books}', 'others}')}")
    found = ff("validate", tmp_path, "-o", "json").json["problems"]
    assert {problem["name"] for problem in found if problem["kind"] == "Route"} == {"books", "others"}
    assert [problem["kind"] for problem in found].count("Document") == 1


def test_the_same_object_twice_is_told_with_the_one_that_counts(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(ROUTE)
    (tmp_path / "b.yaml").write_text(ROUTE)
    assert "a.yaml:2, which counts. (Duplicate)" in ff("validate", tmp_path).out


def test_json_and_yaml_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "route.yaml").write_text(ROUTE)
    as_json, as_yaml = ff("validate", tmp_path, "-o", "json"), ff("validate", tmp_path, "-o", "yaml")
    assert as_json.code == as_yaml.code == 1
    assert as_json.json == yaml.safe_load(as_yaml.out)
    assert as_json.json["problems"][0] == {
        "file": f"{tmp_path}/route.yaml",
        "line": 6,
        "kind": "Route",
        "namespace": "default",
        "name": "books",
        "field": "spec.edges[0]",
        "condition": "Accepted",
        "reason": "EdgeNotFound",
        "message": "Edge default/public was not found.",
        "admission": "warned",
    }


def test_keys_behind_a_url_are_no_problem_offline(tmp_path: Path) -> None:
    edge = "kind: Edge\nmetadata: {name: public}\nspec: {hosts: [a.localhost], listeners: [{name: http, port: 8080}]}\n"
    jwt = "{issuer: https://a.example, jwks: {url: https://a.example/jwks}}"
    policy = (
        "kind: AuthPolicy\nmetadata: {name: members}\nspec:\n  targets: [{kind: Edge, name: public}]\n"
        f"  authentication: {{providers: [{{name: token, jwt: {jwt}, tenants: ['*']}}]}}\n"
    )
    head = "apiVersion: gateway.fastforward.dev/v1alpha1\n"
    (tmp_path / "a.yaml").write_text(f"{head}{edge}---\n{head}{policy}")
    assert ff("validate", tmp_path).out == "2 objects, no problems.\n"


def test_a_directory_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    said = ff("validate", tmp_path / "none")
    assert (said.code, said.err) == (1, f"{tmp_path}/none is not there: name a directory of resources.\n")


def test_a_directory_without_resources_is_no_good_one(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    said = ff("validate", tmp_path)
    assert (said.code, said.out) == (1, "no objects, no problems.\n")
    assert said.err.startswith(f"There are no resources in {tmp_path}: ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ROUTE.replace("  edges", "\tedges"), ":6: Not YAML: there is a tab where YAML takes spaces alone."),
        (ROUTE.replace("{name: public}", "{{ .Values.edge }}"), ":6: A key has to be a word. Is this a template?"),
        ("{{- if .Values.on }}\n" + ROUTE, ":1: A key has to be a word. Is this a template? Render it first"),
        (ROUTE.replace("books}", "Böoks}"), ":4: metadata.name: 'B"),
        (ROUTE.replace("kind: Route\n", ""), ":2: kind: A kind is required; known are "),
        ("apiVersion: v1\nkind: List\nitems: []\n", ":2: kind: A List is not read: write each of its items"),
    ],
    ids=["tab", "template in a value", "template around", "name", "no kind", "list"],
)
def test_what_hurried_people_write_is_told_at_its_line_with_how_to_mend_it(
    tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "a.yaml").write_text(text)
    assert f"a.yaml{said}" in ff("validate", tmp_path).out


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yaml").write_text(ROUTE)
    (tmp_path / "closed").mkdir()
    close_folder(monkeypatch, tmp_path / "closed")
    said = ff("validate", tmp_path)
    assert said.code == 1
    assert f"{tmp_path}/closed:1: The folder can't be read: Permission denied. (Invalid)" in said.out
