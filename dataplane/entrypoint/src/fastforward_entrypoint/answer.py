"""A Decision as the answer that Envoy's ext_authz understands.

200 lets the request go on, with the answer's headers written over its own; anything else but a 5xx goes to the client
as it is. A 5xx Envoy takes for a failure of this service: the route's fail mode applies, and the body is lost. So a
refusal that the client is to see as 503 is answered with JUDGED, which the proxy's local replies turn into 503.
"""

from fastforward_kit.http import Response
from fastforward_pipeline.decision import Decision, Pairs
from fastforward_pipeline.ends import write_ends
from fastforward_pipeline.problem import CONTENT_TYPE, problem_json

REASON = "x-ff-reason"
TENANT = "x-ff-tenant"
TOLD = "x-ff-told-"
"""Followed by the name of a header that the upstream gets; the proxy keeps it, and writes it where the rule says so."""
SHADOW = "x-ff-shadow"
"""For the access log: what policies in the shadow would have refused."""
EXACT = "x-ff-exact-"
"""Followed by limit, remaining and reset: the proxy tells the client of the tighter one, these or its own."""
JUDGED = 421
"""Stands for 503; the proxy knows (emit/envoy/refusal.py). No refusal of ours has this status by itself."""
ENDS = f"{EXACT}ends"
"""For the proxy, which tells it to `ends` when the request has ended."""
_MOST_TOLD = 8
MOST_BYTES = 48 << 10
"""Of an answer's headers. One with more than 60 KiB the proxy takes for a failure, which passes where a policy fails
open; and what they repeat (an origin, a host, cookies) is as long as the client makes it."""
_PROBLEM = ("content-type", CONTENT_TYPE)


def answer_decision(decision: Decision, *, content_type: str) -> Response:
    """Returns the answer; `content_type` is the request's, for gRPC callers get a sentence instead of JSON."""
    answer = _answer(decision, content_type)
    return answer if sum(map(_length, answer.headers)) <= MOST_BYTES else TOO_LONG


def _length(header: tuple[str, str]) -> int:
    name, value = header
    return len(name) + (len(value) if value.isascii() else len(value.encode("utf-8", "replace")))


def _answer(decision: Decision, content_type: str) -> Response:
    if decision.allowed:
        told = tuple((f"{TOLD}{name}", value) for name, value in decision.told if value)
        headers = (*decision.request_headers, *told, *_for_client(decision))
        if decision.ends:
            headers = (*headers, (ENDS, write_ends(decision.ends)))
        return Response(200, (*headers, *_in_the_shadow(decision)) if decision.would_refuse else headers)
    grpc = content_type.startswith("application/grpc")
    reason = "" if decision.reason is None else decision.reason.value
    headers = (("content-type", "text/plain") if grpc else _PROBLEM, (REASON, reason), *decision.response_headers)
    if decision.tenant:  # for the access log
        headers = (*headers, (TENANT, decision.tenant))
    if decision.would_refuse:
        headers = (*headers, *_in_the_shadow(decision))
    status = JUDGED if decision.status == 503 else decision.status
    return Response(status, headers, decision.title.encode() if grpc else problem_json(decision))


def _for_client(decision: Decision) -> Pairs:
    """The headers for the client; limits by names of their own where the proxy tells of its limits by the same."""
    if not decision.proxy_tells_limits:
        return decision.response_headers
    return tuple((name.replace("x-ratelimit-", EXACT), value) for name, value in decision.response_headers)


def _in_the_shadow(decision: Decision) -> Pairs:
    told = (f"{refusal.object} {refusal.reason}" for refusal in decision.would_refuse[:_MOST_TOLD])
    return ((SHADOW, ", ".join(told)),)


NO_PLAN = Response(
    JUDGED,
    (_PROBLEM, (REASON, "routing/plan-unknown")),
    b'{"type":"about:blank","title":"The decision service was not told the route","status":503,'
    b'"stage":"routing","reason":"plan-unknown"}',
)
"""Envoy always names the route's Plan: a request without one is decided by nobody."""
UNJUDGED = ("authentication", "decision-unavailable")
"""Stage and reason of FAILED."""
FAILED = Response(
    JUDGED,
    (_PROBLEM, (REASON, "/".join(UNJUDGED))),
    b'{"type":"about:blank","title":"The request can\'t be decided","status":503,"stage":"%s","reason":"%s"}'
    % tuple(word.encode() for word in UNJUDGED),
)
"""A request that can't be judged is refused, whatever fails open: or whoever finds one such request is let in by it."""
TOO_LONG = Response(
    431,
    (_PROBLEM, (REASON, "ingress/malformed-request")),
    b'{"type":"about:blank","title":"The request\'s headers are too long to be answered","status":431,'
    b'"stage":"ingress","reason":"malformed-request"}',
)
