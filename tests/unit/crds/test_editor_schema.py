"""The schema for editors accepts what the models accept, and marks what they refuse, as far as a schema can."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
import yaml
from fastforward_crds import KINDS, Invalid, Kind, parse_resource
from fastforward_crds.generate.editor import editor_schema

from support.full_world import full_world
from support.repository import ROOT

Path = tuple[str | int, ...]
VALIDATOR = jsonschema_rs.Draft7Validator(editor_schema())
OURS = [document for document in full_world() if document["apiVersion"].startswith("gateway.fastforward.dev")]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_examples_are_right(kind: Kind) -> None:
    for document in yaml.safe_load_all((ROOT / f"crds/examples/{kind.noun}.yaml").read_text()):
        VALIDATOR.validate(document)


def test_every_field_of_every_kind_is_known() -> None:
    assert {document["kind"] for document in OURS} == {kind.name for kind in KINDS}
    for document in OURS:
        VALIDATOR.validate(document)


@pytest.mark.parametrize("document", OURS, ids=lambda document: f"{document['kind']}-{document['metadata']['name']}")
def test_an_unknown_field_is_marked_wherever_it_stands(document: dict[str, Any]) -> None:
    for path in mappings(document["spec"], ("spec",)):
        broken = copy.deepcopy(document)
        here: Any = broken
        for part in path:
            here = here[part]
        here["unheardOf"] = 1
        assert isinstance(parse_resource(broken), Invalid)
        assert not VALIDATOR.is_valid(broken), path


def mappings(value: object, path: Path = ()) -> Iterator[Path]:
    if isinstance(value, dict):
        yield path
        for name, inner in value.items():
            yield from mappings(inner, (*path, name))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from mappings(inner, (*path, place))


@pytest.mark.parametrize(
    "document",
    [
        {"apiVersion": "gateway.fastforward.dev/v1alpha1", "kind": "Rout", "metadata": {"name": "a"}, "spec": {}},
        {"apiVersion": "gateway.fastforward.dev/v1alpha1", "kind": "Route", "metadata": {"name": "a"}},
        {"apiVersion": "gateway.fastforward.dev/v1alpha1", "kind": "Route", "metadata": {}, "spec": {}},
        {"kind": "Route"},
    ],
)
def test_what_is_no_document_of_ours_is_marked(document: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid(document)


def test_documents_of_others_pass() -> None:
    VALIDATOR.validate({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {}})


def test_the_file_is_what_is_generated() -> None:
    assert json.loads((ROOT / "docs/reference/fastforward.schema.json").read_text()) == editor_schema()
