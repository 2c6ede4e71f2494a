"""Answers of upstreams, which the proxy asks about on their way back.

In: the proxy's question: the rule's Plan in headers, the answer's body as its own. Out: 200 for what may go on, else
the problem document that the client gets instead. Called by the door.
"""

from __future__ import annotations

import structlog
from fastforward_kit.http import Request, Response
from fastforward_pipeline.problem import CONTENT_TYPE, refusal_json
from fastforward_pipeline.responsebody import judge_response

from .answer import REASON, SHADOW
from .ask import PLAN, REQUEST_ID
from .endpoint import Current
from .measures import Measures

log = structlog.get_logger(__name__)

MARK = "x-ff-response"
"""In questions of the proxy alone: it takes `x-ff-` off whatever clients send."""
_FINE = Response(200)
_REFUSED = 422
"""A 5xx would be taken for a failure of this service."""


class ResponseEndpoint:
    """Judges answers."""

    def __init__(self, snapshots: Current, measures: Measures) -> None:
        self._snapshots = snapshots
        self._measures = measures

    def __call__(self, asked: Request) -> Response:
        """Answers one question."""
        media_type, encoding = asked.header("content-type"), asked.header("content-encoding")
        refusal, shadow = judge_response(
            self._snapshots.current, asked.header(PLAN), media_type, encoding, asked.body or b""
        )
        self._measures.answered(refusal, shadow=shadow)
        if refusal is None:
            return _FINE
        request_id = asked.header(REQUEST_ID)
        log.info("answer refused", shadow=shadow, request_id=request_id, object=refusal.object, detail=refusal.detail)
        reason = refusal.reason
        if shadow:
            return Response(200, ((SHADOW, f"{refusal.object} {reason}"),))
        headers = (("content-type", CONTENT_TYPE), (REASON, reason.value))
        return Response(_REFUSED, headers, refusal_json(reason, request_id))
