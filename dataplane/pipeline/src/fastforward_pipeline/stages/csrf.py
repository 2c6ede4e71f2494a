"""Forged requests, which belong to stage 2: whether what changes something comes from a page that may send it.

In: `final`. As the proxy does: `Origin`, or where it is missing `Referer`; methods that change something only. Judged
after authorization, when it is known which rule governs, and before anything is counted.
"""

from __future__ import annotations

import re

from fastforward_pipeline.decision import Refusal
from fastforward_pipeline.exchange import Exchange
from fastforward_pipeline.reason import Reason
from fastforward_pipeline.trail import Verdict

_CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_PAGE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?([^/?#@]+)(?:[/?#].*)?")
_LONGEST = 100


def judge(exchange: Exchange) -> Refusal | None:
    """Compares the page that sends the request with those that may."""
    csrf, request, plan = exchange.final.csrf, exchange.request, exchange.final
    if csrf is None or request.method not in _CHANGING:
        return None
    source = _source(request.text("origin")) or _source(request.text("referer"))
    if source and csrf.allows(source, request.host):
        _tell(exchange, Verdict.PASSED, f"pages of {source} may send it")
        return None
    detail = f"it comes from a page of {source[:_LONGEST]}" if source else "no Origin or Referer says where it is from"
    field = f"rules[{plan.rule}].csrf"
    refusal = Refusal(reason=Reason.PAGE_FOREIGN, detail=detail, object=f"Route {plan.route}", field=field)
    if not csrf.shadow:
        return refusal
    exchange.shadow.append(refusal)
    _tell(exchange, Verdict.SHADOWED, detail)
    return None


def _tell(exchange: Exchange, verdict: Verdict, detail: str) -> None:
    plan = exchange.final
    if exchange.trail is not None:
        field = f"rules[{plan.rule}].csrf"
        exchange.trail.note("admission", verdict, detail, object=f"Route {plan.route}", field=field)


def _source(text: str) -> str:
    """Returns host and port of a page; what is no URL stays as it is, and fits nobody."""
    page = _PAGE.fullmatch(text)
    return text if page is None else page[1]
