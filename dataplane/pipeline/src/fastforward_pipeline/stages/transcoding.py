"""Requests that become calls in gRPC, as far as stage 2 judges them: they are JSON, and of bounded size.

In: the Plan that governs. Called by admission. Which method a request is for, and whether its content is a message of
that, the proxy finds out when all stages have passed.
"""

from __future__ import annotations

from fastforward_pipeline.compiled.route import Plan
from fastforward_pipeline.decision import Refusal
from fastforward_pipeline.exchange import Exchange
from fastforward_pipeline.reason import Reason
from fastforward_pipeline.request import Request

CALL = "application/grpc"
"""Begins the media types of calls, gRPC-Web's as well."""


def judge(exchange: Exchange, plan: Plan, length: int | None) -> Refusal | None:
    """Checks what a rule with `transcode` takes; `length` is that of the body, if it is announced."""
    if plan.max_json_bytes is None:
        return None
    if length is not None and length > plan.max_json_bytes:
        return _refuse(Reason.BODY_TOO_LARGE, plan, ".maxBytes", f"{length} bytes are more than {plan.max_json_bytes}")
    if _is_call(exchange.request):
        return _refuse(Reason.CONTENT_TYPE, plan, "", "it is a call in gRPC already: another rule is for these")
    return None


def _is_call(request: Request) -> bool:
    return request.text("content-type").strip(" \t").lower().startswith(CALL)


def _refuse(reason: Reason, plan: Plan, field: str, detail: str) -> Refusal:
    return Refusal(
        reason=reason, detail=detail, object=f"Route {plan.route}", field=f"rules[{plan.rule}].transcode{field}"
    )
