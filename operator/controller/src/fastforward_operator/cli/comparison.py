"""What a route test expected and what it got.

In: an expectation and a judged request. Out: one line a difference, none when everything is as expected. Called by
route_test.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .simulation import Judged
from .testfile import Expectation

_CLOSE = 1e-6


def differences(expect: Expectation, judged: Judged) -> tuple[str, ...]:
    """Every difference, in the order of the fields."""
    return tuple(_differences(expect, judged))


def _differences(expect: Expectation, judged: Judged) -> Iterator[str]:
    decision = judged.decision
    seen = judged.upstream_view()
    yield from _differ("status", expect.status, decision.status, why=_why(judged))
    yield from _differ("reason", expect.reason, str(decision.reason or ""))
    yield from _differ("route", expect.route, decision.route)
    yield from _differ("rule", expect.rule, decision.rule)
    yield from _differ("tenant", expect.tenant, decision.tenant)
    if expect.upstreams is not None:
        got = {candidate.upstream: candidate.share for candidate in decision.candidates}
        yield from _differ_shares(expect.upstreams, got)
    yield from _differ("upstreamPath", expect.upstream_path, str(seen.get("path", "")))
    if expect.would_refuse is not None:
        shaded = ", ".join(refusal.reason for refusal in decision.would_refuse)
        yield from _differ("wouldRefuse", ", ".join(expect.would_refuse) or "none", shaded or "none")
    yield from _differ_headers("requestHeaders", expect.request_headers, seen.get("headers", {}))
    yield from _differ_headers("responseHeaders", expect.response_headers, judged.answer_headers())


def _differ(field: str, expected: object, got: object, *, why: str = "") -> Iterator[str]:
    if expected is not None and expected != got:
        yield f"{field}: expected {expected}, got {'none' if got in ('', None) else got}{why}"


def _why(judged: Judged) -> str:
    refusal = judged.decision.refusal
    if refusal is None:
        return ""
    about = " ".join(filter(None, (refusal.object, refusal.field)))
    return f" ({refusal.reason}: {about}{': ' if about else ''}{refusal.detail})"


def _differ_shares(expected: Mapping[str, int], got: Mapping[str, float]) -> Iterator[str]:
    """Weights are compared as shares: 90 and 10 are 9 and 1."""
    total = sum(expected.values()) or 1
    same = expected.keys() == got.keys()
    if not same or any(abs(weight / total - got[name]) > _CLOSE for name, weight in expected.items()):
        wanted = ", ".join(f"{name} {weight / total:.1%}" for name, weight in expected.items()) or "none"
        found = ", ".join(f"{name} {share:.1%}" for name, share in got.items()) or "none"
        yield f"upstreams: expected {wanted}, got {found}"


def _differ_headers(field: str, expected: Mapping[str, str | None], got: Mapping[str, str]) -> Iterator[str]:
    for name, value in expected.items():
        found = got.get(name.lower())
        if value != found:
            yield f"{field}.{name}: expected {value or 'none'}, got {found or 'none'}"
