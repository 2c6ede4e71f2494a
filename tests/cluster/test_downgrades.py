"""Definitions of our kinds never go back: the API server itself refuses an older set, and the loss of a version."""

from __future__ import annotations

import secrets
from collections.abc import Generator

import fastforward_crds as crds
import pytest
import yaml
from fastforward_operator.kubernetes import downgrades

from support.cluster.kubectl import Kubectl
from support.operator import DEADLINE_S
from support.repository import ROOT
from support.resources import Document

pytestmark = pytest.mark.slow

GROUP = "gateway.fastforward.dev"


def definition(plural: str, version: str | None, *served: str, group: str = GROUP, **annotations: str) -> Document:
    """Of a kind that only this test has."""
    schema = {"openAPIV3Schema": {"type": "object"}}
    versions = [
        {"name": name, "served": not name.startswith("-"), "storage": place == 0, "schema": schema}
        for place, name in enumerate(served)
    ]
    for each in versions:
        each["name"] = str(each["name"]).removeprefix("-")
    told = {downgrades.BUNDLE_VERSION: version} if version is not None else {}
    names = {
        "kind": plural.capitalize(),
        "plural": plural,
        "singular": plural,
        "listKind": f"{plural.capitalize()}List",
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}", "annotations": {**told, **annotations}},
        "spec": {"group": group, "names": names, "scope": "Namespaced", "versions": versions},
    }


@pytest.fixture(scope="module")
def guarded(kubectl: Kubectl) -> Generator[Kubectl]:
    """The policy is in force."""
    kubectl.apply(*downgrades.documents())
    probe = "probe" + secrets.token_hex(3)
    kubectl.apply(definition(probe, "2.0.0", "v1"))
    for _ in range(int(DEADLINE_S * 10)):
        if written(kubectl, definition(probe, "1.0.0", "v1"), "--dry-run=server"):
            break
    # It stays: another worker may be in the midst of these tests.
    yield kubectl
    kubectl("delete", "--wait=false", "crd", f"{probe}.{GROUP}")


def written(kubectl: Kubectl, document: Document, *options: str) -> str:
    """What the API server has against it; empty when it is taken."""
    arguments = ("apply", "--server-side", "--force-conflicts", *options, "-f", "-")
    done = kubectl.run(*arguments, stdin=yaml.safe_dump(document))
    return "" if done.returncode == 0 else done.stderr


@pytest.fixture
def plural(kubectl: Kubectl) -> Generator[str]:
    name = "thing" + secrets.token_hex(4)
    yield name
    # Not waited for: an API server that is busy with other definitions takes its time to let one go.
    kubectl.run("delete", "--wait=false", "crd", f"{name}.{GROUP}", f"{name}.example.com", "--ignore-not-found")


@pytest.mark.parametrize(
    ("old", "new", "taken"),
    [
        ("1.2.3", "1.2.3", True),
        ("1.2.3", "1.2.4", True),
        ("1.2.3", "1.10.0", True),
        ("1.9.9", "2.0.0", True),
        ("v1.2.3", "1.2.4-rc.1", True),
        (None, "0.1.0", True),
        ("nonsense", "0.1.0", True),
        ("1.2.3", "1.2.2", False),
        ("1.10.0", "1.9.9", False),
        ("2.0.0", "1.99.99", False),
        ("1.2.3", "nonsense", False),
        ("1.2.3", "", False),
    ],
)
def test_an_older_bundle_is_refused(guarded: Kubectl, plural: str, old: str | None, new: str, taken: bool) -> None:
    assert written(guarded, definition(plural, old, "v1")) == ""
    told = written(guarded, definition(plural, new, "v1"))
    assert (told == "") is taken, told
    assert taken or "older than those installed" in told


def test_the_annotation_can_not_be_taken_away(guarded: Kubectl, plural: str) -> None:
    assert written(guarded, definition(plural, "1.0.0", "v1")) == ""
    assert "older than those installed" in written(guarded, definition(plural, None, "v1"))


@pytest.mark.parametrize("left", [("v2",), ("v2", "-v1")])
def test_a_version_that_is_served_stays(guarded: Kubectl, plural: str, left: tuple[str, ...]) -> None:
    assert written(guarded, definition(plural, "1.0.0", "v2", "v1")) == ""
    assert "taken away from those who use it" in written(guarded, definition(plural, "1.1.0", *left))
    assert written(guarded, definition(plural, "1.1.0", "v2", "v1", "v3")) == ""


def test_whoever_means_it_says_so(guarded: Kubectl, plural: str) -> None:
    assert written(guarded, definition(plural, "1.0.0", "v2", "v1")) == ""
    meant = {downgrades.ALLOW: "true"}
    told = written(guarded, definition(plural, "0.9.0", "v2"))
    assert f"annotate the definition with {downgrades.ALLOW}=true" in told
    assert written(guarded, definition(plural, "0.9.0", "v2", **meant)) == ""


def test_definitions_of_others_are_their_own_business(guarded: Kubectl, plural: str) -> None:
    assert written(guarded, definition(plural, "1.0.0", "v2", "v1", group="example.com")) == ""
    assert written(guarded, definition(plural, "0.1.0", "v2", group="example.com")) == ""


def test_the_definitions_as_they_are_can_be_applied_again(guarded: Kubectl) -> None:
    again = ("apply", "--server-side", "--dry-run=server", "-f", str(ROOT / "crds/generated"))
    assert guarded(*again).count("serverside-applied") == len(crds.KINDS)
