"""What becomes of a request, in full, as the client and the origin see it and as the evaluator says it.

In: an answer and what the origin received, or a Decision. Out: an Outcome of either; they are compared. Called by the
differential test. Left out is what transport or the moment make of a message: dates, lengths, ids, connections.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from fastforward_operator.cli.simulation import Judged
from fastforward_pipeline import Decision, Refusal, client_headers, normalize, problem_json, upstream_request

from support.client import Response
from support.origin import Received

Pairs = tuple[tuple[str, str], ...]

ORIGINS_OWN: Pairs = (("x-from", "origin"), ("x-both", "origin"), ("x-secret", "origin"))
"""Headers of every answer of an origin."""
FORGED = "forged"
"""Value of headers that no client may send on."""

_TRANSPORT = {"connection", "content-length", "date", "server", "transfer-encoding", "x-origin", "x-request-id"}
_OF_THE_PROXY = {"host", "traceparent", "tracestate", "x-forwarded-for"}
_PROBLEM = "application/problem+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Headers are sorted by name; `sent` is empty unless an origin got the request."""

    status: int
    reason: str = ""
    body: str = ""
    headers: Pairs = ()
    upstream: str = ""
    sent: tuple[str, ...] = ()
    """Method, host, target and headers as the origin got them."""


def seen(response: Response, received: Received | None, method: str) -> Outcome:
    """What was seen."""
    sent: tuple[str, ...] = ()
    if received is not None:
        assert not any(value == FORGED for _, value in received.headers), received
        own = ((name, value) for name, value in received.headers if not name.startswith("x-envoy-"))
        told = _told(own, _TRANSPORT | _OF_THE_PROXY)
        host = received.header("host") or ""
        sent = (received.method, host, received.target, *map(": ".join, told))
    return Outcome(
        status=response.status,
        reason=response.reason or "",
        body=_body(response.content.decode(errors="replace"), response.header("content-type") or ""),
        headers=_told(response.headers, _TRANSPORT | {"x-ff-reason"} | _without_body(method)),
        upstream=response.origin or "",
        sent=sent,
    )


def judged(found: Judged, upstream: str) -> Outcome:
    """What the evaluator says; of several candidates it is `upstream`, if that is one."""
    decision = found.decision
    if not found.proxied:
        return _answered(decision, found.request.method)
    names = [candidate.upstream.rpartition("/")[2] for candidate in decision.candidates]
    canonical = normalize(found.request)
    assert not isinstance(canonical, Refusal)
    sent = upstream_request(decision, canonical)
    told = _told(
        ((name, value) for name, values in sent.headers.items() for value in values), _TRANSPORT | _OF_THE_PROXY
    )
    return Outcome(
        status=200,
        body="" if found.request.method == "HEAD" else "hello",
        headers=_told(client_headers(decision, ORIGINS_OWN), _TRANSPORT | _without_body(sent.method)),
        upstream=upstream if upstream in names else "|".join(names),
        sent=(sent.method, sent.host, sent.path, *map(": ".join, told)),
    )


def _answered(decision: Decision, method: str) -> Outcome:
    refused = decision.reason is not None
    body = problem_json(decision).decode() if refused else decision.body
    kind = (("content-type", _PROBLEM),) if refused else ()
    return Outcome(
        status=decision.status,
        reason=str(decision.reason or ""),
        body="" if method == "HEAD" else _body(body, _PROBLEM if refused else ""),
        headers=_told((*kind, *client_headers(decision, ())), _TRANSPORT | _without_body(method)),
    )


def alike(one: Outcome, other: Outcome) -> bool:
    """Whether what was seen is what was said, but for a second on the way."""
    return _without_seconds(one) == _without_seconds(other) and all(
        abs(a - b) <= 1 for a, b in zip(_seconds(one), _seconds(other), strict=True)
    )


_DRAWN = re.compile(
    r"(?<=[?&]state=)[\w-]+|(?<=&nonce=)[\w-]+|(?<=&code_challenge=)[\w-]+|(?<=ff-login-)[0-9a-f]{8}-[\w-]{8}=[\w-]+"
)
"""What is drawn by lot for a login: Envoy's answer and the evaluator's are two logins."""
_SECONDS = {"x-ratelimit-reset", "retry-after"}


def _without_seconds(outcome: Outcome) -> Outcome:
    return replace(outcome, headers=tuple((n, "" if n in _SECONDS else v) for n, v in outcome.headers))


def _seconds(outcome: Outcome) -> list[int]:
    return [int(value) for name, value in outcome.headers if name in _SECONDS]


def _told(headers: Iterable[tuple[str, str]], but: set[str]) -> Pairs:
    """Sorted by name; repeated ones in their order, joined, for either way says the same (RFC 9110, section 5.3)."""
    values: dict[str, list[str]] = {}
    for name, value in headers:
        if name.lower() not in but:
            values.setdefault(name.lower(), []).extend(part.strip() for part in value.split(","))
    return tuple((name, _DRAWN.sub("", ", ".join(found))) for name, found in sorted(values.items()))


def _without_body(method: str) -> set[str]:
    """What answers to HEAD need not say: the proxy tells no type of a body that it does not send."""
    return {"content-type"} if method == "HEAD" else set()


def _body(text: str, content_type: str) -> str:
    if content_type != _PROBLEM or not text:
        return text
    return json.dumps({**json.loads(text), "requestId": ""}, sort_keys=True)
