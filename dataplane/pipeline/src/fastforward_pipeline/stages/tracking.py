"""Stage 7, tracking: a proxied request is traced by its id and by W3C trace context, which pass through.

In: the request. Leaves a word in the Trail; the id itself is in the Decision.
"""

from __future__ import annotations

from fastforward_pipeline.exchange import Exchange
from fastforward_pipeline.trail import Verdict


def judge(exchange: Exchange) -> None:
    """Tells by what the request can be found again."""
    if exchange.trail is None:
        return
    trace = exchange.request.text("traceparent")
    known = [f"trace context {trace}"] if trace else []
    if exchange.request.request_id:
        known.insert(0, f"request id {exchange.request.request_id}")
    exchange.trail.note("tracking", Verdict.PASSED, " and ".join(known) or "the proxy gives it a request id")
