"""Stage 7, tracking: a proxied request is traced by its id and by W3C trace context, which pass through.

In: the request. Leaves a word in the Trail; the id itself is in the Decision. What becomes a message may need an
idempotency key.
"""

from __future__ import annotations

from fastforward_pipeline.decision import Refusal
from fastforward_pipeline.exchange import Exchange
from fastforward_pipeline.idempotency import SAFE, read_key
from fastforward_pipeline.reason import Reason
from fastforward_pipeline.trail import Verdict

_HEADER = "idempotency-key"


def judge(exchange: Exchange) -> Refusal | None:
    """Tells by what the request can be found again."""
    if exchange.final.destination == "message":
        method = exchange.request.method
        refused = judge_key(exchange, "" if method in SAFE else exchange.request.text(_HEADER))
        if refused is not None:
            return refused
    if exchange.trail is None:
        return None
    trace = exchange.request.text("traceparent")
    known = [f"trace context {trace}"] if trace else []
    if exchange.request.request_id:
        known.insert(0, f"request id {exchange.request.request_id}")
    exchange.trail.note("tracking", Verdict.PASSED, " and ".join(known) or "the proxy gives it a request id")
    return None


def judge_key(exchange: Exchange, written: str) -> Refusal | None:
    """Refuses a key that is none, and none where the rule asks for one. What changes nothing needs none."""
    plan = exchange.final
    if written:
        if read_key(written):
            return None
        detail = f"the key of {len(written)} characters is malformed"
        return Refusal(
            reason=Reason.IDEMPOTENCY_KEY_MALFORMED, detail=detail, object="request", field=f"headers.{_HEADER}"
        )
    if not plan.wire.message.key_required or exchange.request.method in SAFE:
        return None
    return Refusal(
        reason=Reason.IDEMPOTENCY_KEY_REQUIRED,
        detail="the rule asks for an idempotency key, and the request has none",
        object=f"Route {plan.route}",
        field=f"rules[{plan.rule}].message.idempotency",
    )
