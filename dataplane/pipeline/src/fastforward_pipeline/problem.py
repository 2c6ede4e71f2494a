"""A refusal as a problem document (RFC 9457).

In: a refused Decision. Out: JSON, for `application/problem+json`. Called by EntryPoint; the proxy writes the same form.
"""

from __future__ import annotations

import json

from .decision import Decision

CONTENT_TYPE = "application/problem+json"


def problem_json(decision: Decision) -> bytes:
    """Returns the document of a refused request; it tells a client what happened, never why in detail."""
    if decision.reason is None:
        raise ValueError("only a refused request is a problem")
    document = {
        "type": "about:blank",
        "title": decision.title,
        "status": decision.status,
        "stage": decision.reason.stage,
        "reason": decision.reason.short,
        "requestId": decision.request_id,
    }
    return json.dumps(document, separators=(",", ":")).encode()
