"""A refusal as a problem document (RFC 9457).

In: a refused Decision. Out: JSON, for `application/problem+json`. Called by EntryPoint; the proxy writes the same form.
"""

from __future__ import annotations

import json

from .compiled.jsonschema import Violation
from .decision import Decision
from .reason import FACTS, Reason

CONTENT_TYPE = "application/problem+json"


def problem_json(decision: Decision) -> bytes:
    """Returns the document of a refused request; it tells a client what happened, never why in detail."""
    if decision.reason is None:
        raise ValueError("only a refused request is a problem")
    violations = () if decision.refusal is None else decision.refusal.violations
    said = "" if decision.refusal is None else decision.refusal.said
    return refusal_json(decision.reason, decision.request_id, violations, said)


def refusal_json(reason: Reason, request_id: str, violations: tuple[Violation, ...] = (), said: str = "") -> bytes:
    """Returns the document of a refusal for this reason; of content, with the place of each fault in it.

    `said` is what a service that was asked says about it.
    """
    document: dict[str, object] = {
        "type": "about:blank",
        "title": FACTS[reason].title,
        "status": FACTS[reason].status,
        "stage": reason.stage,
        "reason": reason.short,
        "requestId": request_id,
    }
    if said:
        document["detail"] = said
    if violations:
        document["errors"] = [
            {"pointer": each.pointer, "detail": each.detail, "rule": each.rule} for each in violations
        ]
    return json.dumps(document, separators=(",", ":")).encode()
