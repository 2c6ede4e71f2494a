"""No field does nothing: what is changed in a resource changes what proxies or decision services are told, or the
pods that they run in.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

import fastforward_crds as crds
import pytest
from fastforward_compiler import Compiler, ir, object_ref
from fastforward_compiler.emit.decision import DecisionEmitter
from fastforward_compiler.emit.envoy import EmitSettings, EnvoyEmitter, upstream
from fastforward_compiler.emit.kubernetes import PodSettings, emit_edge, emit_workload
from fastforward_crds.generate.crd import document_schema

from support.full_world import FETCHED, full_world
from support.resources import Document
from support.variants import field_of, fields, leaves, variants

KINDS = {kind.name: document_schema(kind) for kind in crds.KINDS}
PODS = PodSettings(namespace="fastforward-system", envoy_image="envoy:1", decision_image="decision:1")
MONDAY = datetime(2026, 11, 30, 12, tzinfo=UTC)
FOR_THE_OPERATOR = {
    "spec.authentication.providers[].jwt.jwks.refresh",
    "spec.authentication.providers[].jwt.jwks.maxStale",
    "spec.authentication.providers[].oidc.jwks.refresh",
    "spec.authentication.providers[].oidc.jwks.maxStale",
    "spec.component",
}
"""When to fetch keys, and how long to believe them: tests of the operator's fetching show what these do; and a choice
that has one value so far.
"""


def compiled(documents: Iterable[Document]) -> ir.Delta:
    resources = [crds.parse_resource(document) for document in documents]
    return Compiler(pods=PODS.namespace).apply({object_ref(each): each for each in resources}, FETCHED, MONDAY)


def told(documents: Iterable[Document]) -> dict[object, str]:
    """Versions of all that proxies and decision services are told, and the pods that they run in."""
    delta = compiled(documents)
    envoy = {resource.id: resource.version for resource in EnvoyEmitter(EmitSettings()).apply(delta).upserts}
    decision = {resource.name: resource.version for resource in DecisionEmitter().apply(delta).upserts}
    pods = [
        *(document for edge in delta.edges.upserts for document in emit_edge(edge, PODS)),
        *(document for workload in delta.workloads.upserts for document in emit_workload(workload, PODS)),
    ]
    made = {(document["kind"], document["metadata"]["name"]): json.dumps(document) for document in pods}
    return {**envoy, **decision, **made}


def test_the_world_has_every_field_and_no_problem() -> None:
    documents = full_world()
    reports = compiled(documents).reports.values()
    assert [problem for report in reports if report is not None for problem in report.problems] == []
    for kind, schema in KINDS.items():
        ours = [document for document in documents if document["kind"] == kind]
        written = {
            field_of(("spec", *place))
            for document in ours
            for place, _ in leaves(document["spec"], schema["properties"]["spec"])
        }
        assert set(fields(schema["properties"]["spec"], ("spec",))) - written == set(), kind


def idle_fields(kind: str) -> set[str]:
    """Fields of a kind of which no variant changes what is told."""
    schema, documents = KINDS[kind]["properties"]["spec"], full_world()
    before = told(documents)
    idle = set(fields(schema, ("spec",))) - FOR_THE_OPERATOR
    for index, document in enumerate(documents):
        for place, inner in leaves(document["spec"], schema, ("spec",)) if document["kind"] == kind else ():
            if field_of(place) in idle:
                changed = variants(document, place, inner)
                worlds = ([*documents[:index], variant, *documents[index + 1 :]] for variant in changed)
                if any(told(world) != before for world in worlds):
                    idle.discard(field_of(place))
    return idle


@pytest.mark.parametrize("kind", KINDS)
def test_no_field_does_nothing(kind: str) -> None:
    assert idle_fields(kind) == set()


def test_the_check_sees_a_field_that_is_not_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    made = upstream.emit_outlier_detection
    monkeypatch.setattr(upstream, "emit_outlier_detection", lambda outlier: made(replace(outlier, interval_ms=1)))
    assert idle_fields("Upstream") == {"spec.outlierDetection.interval"}
