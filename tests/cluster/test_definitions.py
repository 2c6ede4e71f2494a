"""The API server takes our definitions, every example of the reference, and refuses what breaks a rule by its field."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import fastforward_crds as crds
import pytest
import yaml

from support.cluster.kubectl import Kubectl
from support.repository import ROOT

PAGES = sorted((ROOT / "docs/reference").glob("*.md"))
FENCED = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)


def examples(page: Path) -> list[dict[str, Any]]:
    """The whole objects among the page's YAML."""
    blocks = (yaml.safe_load_all(block) for block in FENCED.findall(page.read_text(encoding="utf-8")))
    return [document for block in blocks for document in block if isinstance(document, dict) and "kind" in document]


EXAMPLES = [(f"{page.stem}-{index}", each) for page in PAGES for index, each in enumerate(examples(page))]


def example(kind: str) -> dict[str, Any]:
    return next(each for _, each in EXAMPLES if each["kind"] == kind)


def dry_run(kubectl: Kubectl, namespace: str, document: dict[str, Any]) -> str:
    """What the API server has against the object, were it in this namespace; empty when nothing."""
    here = {**document, "metadata": {**document["metadata"], "namespace": namespace}}
    done = kubectl.run("apply", "--server-side", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(here))
    return "" if done.returncode == 0 else done.stderr


def test_every_kind_is_established_and_served(kubectl: Kubectl) -> None:
    definitions = kubectl.get("customresourcedefinitions")["items"]
    conditions = {
        each["metadata"]["name"]: {c["type"]: c["status"] for c in each["status"]["conditions"]} for each in definitions
    }
    for kind in crds.KINDS:
        found = conditions[f"{kind.plural}.gateway.fastforward.dev"]
        assert found["Established"] == found["NamesAccepted"] == "True"
        assert "NonStructuralSchema" not in found
    served = kubectl("api-resources", "--categories=fastforward", "-o", "name").split()
    assert sorted(served) == sorted(f"{kind.plural}.gateway.fastforward.dev" for kind in crds.KINDS)


@pytest.mark.parametrize("kind", crds.KINDS, ids=lambda kind: kind.noun)
def test_tools_see_that_nobody_has_dealt_with_a_new_object_yet(
    kubectl: Kubectl, namespace: str, kind: crds.Kind
) -> None:
    document = example(kind.name)
    kubectl.apply({**document, "metadata": {"name": "new", "namespace": namespace}})
    found = kubectl.get(kind.plural, "new", "-n", namespace)
    assert (found["metadata"]["generation"], found["status"]) == (1, {"observedGeneration": -1})


def test_there_is_an_example_of_every_kind() -> None:
    assert {each["kind"] for _, each in EXAMPLES} >= {kind.name for kind in crds.KINDS}


@pytest.mark.parametrize("document", [each for _, each in EXAMPLES], ids=[name for name, _ in EXAMPLES])
def test_an_example_of_the_reference_is_accepted(kubectl: Kubectl, namespace: str, document: dict[str, Any]) -> None:
    assert dry_run(kubectl, namespace, document) == ""


@pytest.mark.parametrize("kind", [kind.name for kind in crds.KINDS])
def test_a_field_that_no_kind_has_is_refused_by_its_name(kubectl: Kubectl, namespace: str, kind: str) -> None:
    document = example(kind)
    document = {**document, "spec": {**document["spec"], "nonsense": 1}}
    assert ".spec.nonsense: field not declared in schema" in dry_run(kubectl, namespace, document)


def test_a_port_out_of_range_is_refused_by_its_field(kubectl: Kubectl, namespace: str) -> None:
    document = example("Edge")
    document = {**document, "spec": {"hosts": ["a.example.com"], "listeners": [{"name": "web", "port": 70000}]}}
    assert "spec.listeners[0].port" in dry_run(kubectl, namespace, document)


@pytest.mark.parametrize("kind", crds.KINDS, ids=[kind.name for kind in crds.KINDS])
def test_objects_are_listed_with_the_columns_of_their_kind(kubectl: Kubectl, namespace: str, kind: crds.Kind) -> None:
    document = example(kind.name)
    kubectl.apply({**document, "metadata": {**document["metadata"], "namespace": namespace}})
    head, row = kubectl("get", kind.plural, "-n", namespace).splitlines()
    own = [title.upper() for title, _ in kind.columns]
    assert re.split(r"\s{2,}", head.strip()) == ["NAME", *own, "PROGRAMMED", "REASON", "PROXIES", "AGE"]
    assert row.startswith(document["metadata"]["name"])
