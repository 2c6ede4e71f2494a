"""A default that changes rewrites few outputs: they show what differs from defaults.

A default stands twice, in the resource and in the compiler's value. Here both are changed at once, as a commit would.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import pytest
from fastforward_compiler import ir

from support import golden

BUDGET = 10
"""Files."""


class Default(NamedTuple):
    """One that is changed: where documents say it, and where the compiler's value has it."""

    kind: str
    path: str
    said: object
    value: Any
    field: str
    becomes: object


DEFAULTS = (
    Default("Edge", "spec.accessLog", False, ir.Edge, "access_log", False),
    Default("Edge", "spec.limits.maxHeaders", 120, ir.Edge, "max_headers", 120),
    Default("Edge", "spec.limits.maxConnections", 5, ir.Edge, "max_connections", 5),
    Default("Edge", "spec.limits.maxConcurrentStreams", 7, ir.Edge, "max_concurrent_streams", 7),
    Default("Edge", "spec.timeouts.requestHeaders", "7s", ir.Edge, "request_headers_timeout_ms", 7000),
    Default("Edge", "spec.timeouts.streamIdle", "7s", ir.Edge, "stream_idle_timeout_ms", 7000),
    Default("Edge", "spec.timeouts.connectionIdle", "7s", ir.Edge, "connection_idle_timeout_ms", 7000),
    Default("Upstream", "spec.connectTimeout", "7s", ir.Upstream, "connect_timeout_ms", 7000),
    Default("Upstream", "spec.circuitBreaker.maxRequests", 7, ir.Upstream, "max_requests", 7),
    Default("Upstream", "spec.retryBudget.percent", 7, ir.Upstream, "retry_budget_percent", 7),
)


def inserted(document: Any, changed: Default) -> Any:  # noqa: ANN401 - some documents are none
    """The document, which says what was its default where it says nothing."""
    of_it = isinstance(document, dict) and document.get("kind") == changed.kind
    if not of_it or not isinstance(document.get("spec"), dict):
        return document
    *above, last = changed.path.split(".")
    mapping = document
    for name in above:
        mapping = mapping.setdefault(name, {})
    mapping.setdefault(last, changed.said)
    return document


def change(monkeypatch: pytest.MonkeyPatch, changed: Default) -> None:
    """Has all documents of the corpus say it."""
    read = golden.Case.documents
    monkeypatch.setattr(
        golden.Case, "documents", lambda case, name: [inserted(each, changed) for each in read(case, name)]
    )


@pytest.mark.parametrize("changed", DEFAULTS, ids=lambda changed: f"{changed.kind} {changed.path}")
def test_a_changed_default_rewrites_few_outputs(monkeypatch: pytest.MonkeyPatch, changed: Default) -> None:
    fill = golden._fill
    monkeypatch.setattr(golden, "_fill", lambda document: inserted(fill(document), changed))
    field = next(each for each in dataclasses.fields(changed.value) if each.name == changed.field)
    assert field.default != changed.becomes
    monkeypatch.setattr(field, "default", changed.becomes)
    rewritten, in_force = [], 0
    for case in golden.cases():
        outcome = golden.compile_case(case)
        values = (value for noun in ("edges", "upstreams") for value in getattr(outcome.snapshot, noun))
        in_force += sum(getattr(value, changed.field, None) == changed.becomes for value in values)
        rewritten += [
            f"{case.name}/{name}"
            for name, text in golden.render(outcome).items()
            if text != (case.folder / name).read_text(encoding="utf-8")
        ]
    assert in_force > BUDGET, "the change does not reach the outputs"
    assert len(rewritten) <= BUDGET, rewritten


def test_the_count_sees_outputs_that_show_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same change, without the compiler's value knowing the new default."""
    changed = DEFAULTS[1]
    fill = golden._fill
    monkeypatch.setattr(golden, "_fill", lambda document: inserted(fill(document), changed))
    texts = [
        (case.folder / "snapshot.yaml").read_text(encoding="utf-8")
        != golden.render(golden.compile_case(case))["snapshot.yaml"]
        for case in golden.cases()
        if "snapshot" in case.pins and "edges" in case.nouns
    ]
    assert sum(texts) > BUDGET
