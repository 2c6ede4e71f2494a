"""What the charts render is what a real API server calls its kinds, field by field: kubeconform says so."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.charts import CHARTS, cases, template
from support.cluster.kubectl import Kubectl
from support.openapi import LOCATION, write_schemas
from support.repository import ROOT
from support.tools import program

# Not the API server's: it comes with a Prometheus operator.
FOREIGN = "ServiceMonitor"


@pytest.fixture(scope="module")
def schemas(kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Those of the API server, our kinds included."""
    folder = tmp_path_factory.mktemp("schemas")
    write_schemas(kubectl, folder)
    return folder


def judge(schemas: Path, text: str) -> dict[str, Any]:
    """What kubeconform says of these documents."""
    done = subprocess.run(
        [
            *(program("kubeconform"), "-strict", "-output", "json", "-summary", "-skip", FOREIGN),
            *("-schema-location", f"{schemas}/{LOCATION}"),
        ],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    return json.loads(done.stdout)


def assert_conforms(told: dict[str, Any]) -> None:
    assert told.get("resources", []) == []
    assert told["summary"]["valid"] > 0
    assert (told["summary"]["invalid"], told["summary"]["errors"]) == (0, 0)


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_the_operators_chart_conforms(schemas: Path, case: Path) -> None:
    done = template(CHARTS / "fastforward", "--values", str(case / "values.yaml"))
    told = judge(schemas, done.stdout)
    assert_conforms(told)
    assert told["summary"]["skipped"] == done.stdout.count(f"kind: {FOREIGN}\n")


def test_the_definitions_conform(schemas: Path) -> None:
    assert_conforms(judge(schemas, template(CHARTS / "fastforward-crds").stdout))


def test_the_bookshops_objects_conform(schemas: Path) -> None:
    files = sorted((ROOT / "examples/bookshop/resources").glob("*.yaml"))
    assert_conforms(judge(schemas, "\n---\n".join(path.read_text() for path in files)))


def test_the_bookshop_for_clusters_conforms_and_its_upstreams_are_services(schemas: Path, kubectl: Kubectl) -> None:
    text = kubectl("kustomize", str(ROOT / "examples/bookshop"))
    assert_conforms(judge(schemas, text))
    found = list(yaml.safe_load_all(text))
    assert {each["metadata"]["namespace"] for each in found} == {"bookshop"}
    ports = {
        (each["metadata"]["name"], port["name"])
        for each in found
        if each["kind"] == "Service"
        for port in each["spec"]["ports"]
    }
    upstreams = [each["spec"] for each in found if each["kind"] == "Upstream"]
    assert len(upstreams) == 5
    assert all("endpoints" not in each for each in upstreams)
    assert {(each["service"]["name"], each["service"]["portName"]) for each in upstreams} == ports


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ({"replicas": "two"}, "/spec/replicas"),
        ({"replica": 2}, "additional properties 'replica' not allowed"),
        ({"template": {}}, "missing propert"),
    ],
)
def test_what_does_not_conform_is_found(schemas: Path, change: dict[str, Any], answer: str) -> None:
    documents = list(yaml.safe_load_all(template(CHARTS / "fastforward").stdout))
    (deployment,) = (each for each in documents if each is not None and each["kind"] == "Deployment")
    deployment["spec"] |= change
    if change.get("template") == {}:
        del deployment["spec"]["selector"]
    (told,) = judge(schemas, yaml.safe_dump(deployment))["resources"]
    assert told["status"] == "statusInvalid"
    assert answer in json.dumps(told)
