"""What is generated from the models: CRDs that the API server takes, and pages that name every field."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import fastforward_crds as crds
import pytest
import yaml
from fastforward_crds.formats import FORMATS
from fastforward_crds.generate import NOTICE
from fastforward_crds.generate.__main__ import main, replace_files
from fastforward_crds.generate.crd import definition, document_schema, write_definition
from fastforward_crds.generate.reference import write_page
from fastforward_crds.generate.schema import Schema, structural_schema
from fastforward_crds.lists import Items
from fastforward_crds.meta import Model
from fastforward_crds.registry import Kind

from support.repository import ROOT

GENERATED = ("crds/generated", "charts/fastforward-crds/definitions", "docs/reference", "argocd")
DOCUMENTS = {kind.name: yaml.safe_load(write_definition(kind)) for kind in crds.KINDS}
KINDS = pytest.mark.parametrize("kind", crds.KINDS, ids=lambda kind: kind.name)
# What a structural schema may say (apiextensions.k8s.io/v1), as far as it is used here.
STRUCTURAL = {
    "default",
    "description",
    "enum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "pattern",
    "properties",
    "required",
    "type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-validations",
}


def schema_of(kind: Kind) -> Schema:
    return DOCUMENTS[kind.name]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def walk(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from walk(inner, f"{path}.{name}")
    if "items" in schema:
        yield from walk(schema["items"], f"{path}[]")


def pairs(value: object, schema: Schema) -> Iterator[tuple[object, Schema]]:
    """A value and all that is in it, each with its schema; raises KeyError for a field that the schema lacks."""
    yield value, schema
    inner = value.items() if isinstance(value, dict) else ()
    items = value if isinstance(value, list) else ()
    for name, each in inner:
        yield from pairs(each, schema["properties"][name])
    for each in items:
        yield from pairs(each, schema["items"])


def in_spec(kind: Kind) -> list[tuple[str, Schema]]:
    return list(walk(schema_of(kind)["properties"]["spec"], "spec"))


def test_generating_again_leaves_no_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "crds").mkdir()
    (tmp_path / "crds/examples").symlink_to(ROOT / "crds/examples")
    (tmp_path / "argocd").mkdir()
    shutil.copy(ROOT / "argocd/health.lua", tmp_path / "argocd")
    monkeypatch.chdir(tmp_path)
    main()
    for folder in GENERATED:
        made, kept = (
            {path.name: path.read_text() for path in (root / folder).iterdir() if NOTICE in path.read_text()}
            for root in (tmp_path, ROOT)
        )
        assert made == kept


def test_generating_touches_only_what_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("right", "wrong", "gone"):
        (tmp_path / name).write_text(f"{NOTICE} {name}")
    (tmp_path / "by-hand").write_text("kept")
    replace_files(tmp_path, {"right": f"{NOTICE} right", "wrong": f"{NOTICE} new", "added": "x"})
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "right": f"{NOTICE} right",
        "wrong": f"{NOTICE} new",
        "added": "x",
        "by-hand": "kept",
    }
    assert capsys.readouterr().out.split() == [
        *("removed", str(tmp_path / "gone")),
        *("wrote", str(tmp_path / "wrong")),
        *("wrote", str(tmp_path / "added")),
    ]


@KINDS
def test_a_definition_names_its_kind(kind: Kind) -> None:
    written = DOCUMENTS[kind.name]
    names = written["spec"]["names"]
    assert written["metadata"]["name"] == f"{kind.plural}.{crds.GROUP}"
    assert names["kind"] == kind.name
    assert names["categories"] == ["fastforward"]
    assert names["shortNames"] == list(kind.short)
    assert written["spec"]["scope"] == "Namespaced"
    assert written["spec"]["versions"][0]["subresources"] == {"status": {}}


def test_no_two_kinds_share_a_name() -> None:
    names = [name for kind in crds.KINDS for name in (kind.plural, kind.noun, *kind.short)]
    assert len(set(names)) == len(names)


@KINDS
def test_columns_end_with_the_verdict(kind: Kind) -> None:
    columns = DOCUMENTS[kind.name]["spec"]["versions"][0]["additionalPrinterColumns"]
    assert [column["name"] for column in columns[-4:]] == ["Programmed", "Reason", "Proxies", "Age"]
    assert [column["name"] for column in columns[:-4]] == [title for title, _ in kind.columns]


def test_a_column_that_leads_nowhere_is_refused() -> None:
    with pytest.raises(KeyError):
        definition(crds.KINDS[0]._replace(columns=(("Hosts", ".spec.host"),)))


@KINDS
def test_a_schema_is_structural(kind: Kind) -> None:
    for path, schema in walk(schema_of(kind)):
        assert set(schema) <= STRUCTURAL, path
        assert isinstance(schema["type"], str), path


@KINDS
def test_everything_in_a_spec_is_bounded_and_described(kind: Kind) -> None:
    for path, schema in in_spec(kind):
        if "enum" in schema or schema["type"] in ("boolean", "object"):
            continue
        bound = {"string": "maxLength", "array": "maxItems", "integer": "maximum"}[schema["type"]]
        assert bound in schema, path
    for path, schema in in_spec(kind):
        assert "description" in schema or path.endswith("[]"), path


@KINDS
def test_no_pattern_looks_around(kind: Kind) -> None:
    assert [path for path, schema in in_spec(kind) if "(?" in schema.get("pattern", "")] == []


@KINDS
def test_every_pattern_is_a_format(kind: Kind) -> None:
    patterns = {form.pattern for form in FORMATS}
    assert {schema["pattern"] for _, schema in in_spec(kind) if "pattern" in schema} <= patterns


def test_every_format_is_used() -> None:
    used = {schema.get("x-format") for kind in crds.KINDS for _, schema in walk(document_schema(kind))}
    assert {form.name for form in FORMATS} == used - {None}


@KINDS
def test_keys_of_list_maps_are_required_texts(kind: Kind) -> None:
    for path, schema in walk(schema_of(kind)):
        for key in schema.get("x-kubernetes-list-map-keys", ()):
            assert key in schema["items"]["required"], path
            assert schema["items"]["properties"][key]["type"] == "string", path


@KINDS
def test_lists_whose_items_have_a_required_name_of_their_own_are_maps(kind: Kind) -> None:
    for path, schema in in_spec(kind):
        if schema["type"] == "array" and schema["items"]["type"] == "object":
            keys = {"name", "plan", "rateLimit", "purpose", "as"} & set(schema["items"].get("required", ()))
            named = {"purpose", "as"} & keys
            is_reference = {"name", "namespace"} <= schema["items"]["properties"].keys() and not named
            expected = bool(keys) and not is_reference and not path.endswith((".add", ".targets"))
            assert (schema["x-kubernetes-list-type"] == "map") is expected, path


@KINDS
def test_rules_point_at_fields_that_are_there(kind: Kind) -> None:
    for path, schema in in_spec(kind):
        for rule in schema.get("x-kubernetes-validations", ()):
            inner = schema
            for name in rule.get("fieldPath", "").split(".")[1:]:
                inner = inner["properties"][name]
            assert rule["message"].endswith("."), path


@KINDS
def test_defaults_fit_the_schema_and_hold_nothing_empty(kind: Kind) -> None:
    for path, schema in in_spec(kind):
        for value, inner in pairs(schema["default"], schema) if "default" in schema else ():
            assert value not in (None, "", [], {}), path
            assert value in inner.get("enum", (value,)), path


@KINDS
def test_a_status_has_conditions_by_type(kind: Kind) -> None:
    whole = schema_of(kind)["properties"]["status"]
    assert whole["default"] == {"observedGeneration": -1}
    status = whole["properties"]
    assert set(status) == {"observedGeneration", "conditions", "proxies", "effectivePolicies"}
    assert status["conditions"]["x-kubernetes-list-map-keys"] == ["type"]
    assert set(status["conditions"]["items"]["properties"]) == {
        *("type", "status", "observedGeneration", "reason", "message", "lastTransitionTime")
    }


@KINDS
def test_a_page_names_every_field_and_every_rule(kind: Kind) -> None:
    page = (ROOT / f"docs/reference/{kind.noun}.md").read_text()
    for path, schema in in_spec(kind):
        if "properties" in schema:
            assert f"### `{path}`" in page
            assert all(f"| `{name}` |" in page for name in schema["properties"])
        if "properties" in schema or "fieldPath" in str(schema.get("x-kubernetes-validations")):
            rules = schema.get("x-kubernetes-validations", ())
            assert all(rule["message"].replace("|", "\\|") in page for rule in rules)
    assert set(re.findall(r"\(#([^)]+)\)", page)) <= set(re.findall(r"{ #(\S+) }", page))


@KINDS
def test_an_example_is_a_complete_resource(kind: Kind) -> None:
    text = (ROOT / f"crds/examples/{kind.noun}.yaml").read_text()
    parsed = [crds.parse_resource(document) for document in yaml.safe_load_all(text)]
    assert {type(each) for each in parsed} == {kind.model}
    assert text.strip() in write_page(kind, text)


def test_a_keyword_that_structural_schemas_lack_is_refused() -> None:
    class Loose(Model):
        """Has a field of two types."""

        field: Annotated[tuple[str | int, ...], Items(most=3)] = ()
        """Text or number."""

    with pytest.raises(ValueError, match="not in tuple"):
        structural_schema(Loose)


def test_a_kind_whose_spec_is_no_model_is_refused() -> None:
    class Odd(crds.Resource):
        """Has a text for a spec."""

        spec: str

    with pytest.raises(TypeError, match="The spec of Odd is no model"):
        document_schema(Kind(Odd, "odds", (), ()))


def test_no_field_or_value_is_a_word_that_yaml_reads_as_something_else() -> None:
    words = {name for kind in crds.KINDS for _, schema in in_spec(kind) for name in schema.get("properties", ())}
    words |= {value for kind in crds.KINDS for _, schema in in_spec(kind) for value in schema.get("enum", ())}
    assert {word for word in words if isinstance(word, str) and not isinstance(yaml.safe_load(word), str)} == {
        *("1.2", "1.3")
    }
