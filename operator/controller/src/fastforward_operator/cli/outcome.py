"""What becomes of a request, as texts that can be compared.

In: a judged request, and what the resources compile to. Out: a label and a text for each thing that a client or an
upstream could notice. Called by diff.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from fastforward_compiler import ir
from google.protobuf import text_format

from .simulation import Judged

Outcome = Mapping[str, str]
"""Label -> text; what is not there has no label."""

_PASSING = frozenset({"x-request-id", "traceparent", "x-ratelimit-reset"})
"""Headers that differ from request to request."""
_HANDLING = ("timeout_ms", "idle_timeout_ms", "retry", "mirrors", "fault")
"""What the proxy does with a request besides sending it on, by field of an Entry."""


class World:
    """What of the compiled resources the evaluator does not look at."""

    def __init__(self, delta: ir.Delta) -> None:
        self._upstreams = {upstream.name: upstream for upstream in delta.upstreams.upserts}
        self._entries = {
            (table.scope, entry.route, entry.rule): entry for table in delta.tables.upserts for entry in table.entries
        }

    def outcome(self, judged: Judged) -> Outcome:
        """All that could be noticed."""
        return {label: text for label, text in (*_seen(judged), *self._handled(judged)) if text}

    def _handled(self, judged: Judged) -> Iterator[tuple[str, str]]:
        decision = judged.decision
        if decision.scope is None or decision.plan is None or not decision.allowed:
            return
        entry = self._entries.get((decision.scope.name, decision.route, decision.rule))
        for name in _HANDLING if entry is not None else ():
            yield name.removesuffix("_ms").replace("_", " "), _plain(getattr(entry, name))
        for candidate in decision.candidates:
            upstream = self._upstreams.get(candidate.upstream)
            if upstream is not None:
                yield from _parts(f"upstream {candidate.upstream}", upstream)


def _parts(label: str, value: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - any value of the IR
    for field in dataclasses.fields(value):
        if field.name != "name":
            yield f"{label} {field.name.removesuffix('_ms').replace('_', ' ')}", _plain(getattr(value, field.name))


def _seen(judged: Judged) -> Iterator[tuple[str, str]]:
    decision, seen = judged.decision, judged.upstream_view()
    yield "verdict", _verdict(judged)
    yield "rule", f"{decision.route}#{decision.rule}" if decision.plan is not None else ""
    yield "tenant", decision.tenant
    yield "upstreams", ", ".join(f"{each.upstream or 'none'} {each.share:.0%}" for each in decision.candidates)
    yield "upstream sees", f"{seen['method']} {seen['path']}, host {seen['host']}" if seen else ""
    yield from (
        (f"upstream gets {name}", str(value)) for name, value in seen.get("headers", {}).items() if name not in _PASSING
    )
    yield from _handed_on(judged)
    yield from ((f"answer has {name}", value) for name, value in _answer(judged).items())
    yield "answer", decision.body[:200] if decision.allowed else ""
    yield "limits", ", ".join(sorted(f"{each.limit} of {each.burst}" for each in decision.limits))
    yield "in the shadow", ", ".join(decision.shadow)


def _handed_on(judged: Judged) -> Iterator[tuple[str, str]]:
    """What decision services do with it in place of the proxy."""
    plan = judged.decision.plan
    if judged.decision.allowed and plan is not None and plan.destination in ("message", "adapter"):
        yield plan.destination, text_format.MessageToString(getattr(plan.wire, plan.destination), as_one_line=True)


def _answer(judged: Judged) -> Mapping[str, str]:
    return {name: value for name, value in judged.answer_headers().items() if name not in _PASSING}


def _verdict(judged: Judged) -> str:
    decision = judged.decision
    if not decision.allowed:
        return f"refused with {decision.status} ({decision.reason})"
    return judged.becomes


def _plain(value: Any) -> str:  # noqa: ANN401 - any value of the IR
    """As text; secrets and other bytes by their length."""
    if value is None or value in ((), ""):
        return ""
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if dataclasses.is_dataclass(value):
        parts = ((field.name, _plain(getattr(value, field.name))) for field in dataclasses.fields(value))
        return " ".join(f"{name}={text}" for name, text in parts if text not in ("", "0"))
    if isinstance(value, tuple):
        return ", ".join(map(_plain, value))
    return str(value)
