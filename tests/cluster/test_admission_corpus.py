"""The webhook and `ff validate` have the same to say of every object of the golden corpus.

Each case is created object by object on a real API server, in the order in which what is referred to comes first. What
is refused there, by schema, rule or webhook, `ff validate` refuses as well, beside what was taken; on what was taken it
has no error that another object could not mend.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

import fastforward_crds as crds
import pytest
import yaml
from fastforward_compiler.problem import ObjectRef, is_refused
from fastforward_operator.cli import offline

from support.admission import Admitting, admitting, reference
from support.cluster.kubectl import Kubectl
from support.golden import Case, cases
from support.resources import Document

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

NAMESPACES = ("shop", "vault", "other", "team", "elsewhere", "platform", "partners")
ORDER = ("Secret", "ConfigMap", "Edge", "Shard", "Upstream", "Tenant", "Route", "RateLimit", "AuthPolicy")
LABEL = "gateway.fastforward.dev/use"
SERVERS_OWN = ("creationTimestamp", "generation", "uid", "resourceVersion")
LEAST_REFUSED = 15
"""Of the objects of the corpus: fewer would be a test of little."""


def documents(case: Case) -> list[Document]:
    """What the API server can be told, in the order of creation. Others are no objects, or need kinds of others."""
    found = [each for each in case.documents("input.yaml") if each["kind"] in ORDER]
    return sorted(map(prepared, found), key=lambda each: (ORDER.index(each["kind"]), *age(each)))


def age(document: Document) -> tuple[bool, str, str]:
    created = document["metadata"].get("creationTimestamp", "")
    return not created, created, document["metadata"]["name"]


def prepared(document: Document) -> Document:
    metadata: Document = {"namespace": "default", **document["metadata"]}
    labels = {LABEL: "true", **metadata.get("labels", {})}
    return {**document, "metadata": {**metadata, "labels": labels}}


def offline_errors(folder: Path, listed: Iterable[Document]) -> set[ObjectRef]:
    """Objects that `ff validate` has an error on that no other object can mend."""
    (folder / "all.yaml").write_text(yaml.safe_dump_all(listed))
    return {each.problem.on for each in offline.load([folder / "all.yaml"]).findings() if is_refused(each.problem)}


async def online(scene: Admitting, listed: list[Document]) -> tuple[list[Document], list[Document]]:
    """What the API server refuses, and what it takes."""
    refused: list[Document] = []
    taken: list[Document] = []
    before = ""
    for document in listed:
        created = document["metadata"].get("creationTimestamp", "")
        if created != before and before:
            # Ages are whole seconds.
            await asyncio.sleep(1.1)
        before = created
        bare = {name: value for name, value in document["metadata"].items() if name not in SERVERS_OWN}
        told = await scene.create({**document, "metadata": bare})
        assert told.taken or told.status in (400, 422), told.message
        (taken if told.taken else refused).append(document)
    return refused, taken


async def judge(case: Case, scene: Admitting, folder: Path) -> tuple[int, list[ObjectRef]]:
    """How many were refused, and of whom webhook and command differ."""
    refused, taken = await online(scene, documents(case))
    await scene.remove(*taken)
    # Kinds of Kubernetes' own are its own to refuse.
    ours = [each for each in refused if each["kind"] in crds.PLURALS]
    wrongly = {reference(each) for each in ours if reference(each) not in offline_errors(folder, [*taken, each])}
    return len(ours), sorted(wrongly | offline_errors(folder, taken))


async def test_the_webhook_refuses_what_ff_validate_does(tmp_path: Path, kubectl: Kubectl) -> None:
    # One test, not one a case: the cases share namespaces, and would meet where tests run side by side.
    for namespace in NAMESPACES:
        kubectl.run("create", "namespace", namespace)
    async with admitting(tmp_path, kubectl.kubeconfig, NAMESPACES) as scene:
        found = {case.name: await judge(case, scene, tmp_path) for case in cases()}
    assert {name: differ for name, (_, differ) in found.items() if differ} == {}
    assert sum(refused for refused, _ in found.values()) >= LEAST_REFUSED


def test_the_corpus_has_both() -> None:
    every = [each for case in cases() for each in documents(case)]
    assert {each["metadata"]["namespace"] for each in every} <= set(NAMESPACES)
    assert {each["kind"] for each in every} == set(ORDER)
