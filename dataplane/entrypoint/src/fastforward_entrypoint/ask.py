"""What Envoy asks, as the pipeline's Request.

In: the HTTP request of ext_authz: the client's method, target, host and headers, and what Envoy knows beside
(`x-ff-...`, which Envoy writes over anything that a client sends). Out: a `fastforward_pipeline` Request.
"""

from fastforward_kit import http
from fastforward_pipeline.message.intake import ADDRESS, PEER
from fastforward_pipeline.request import Request, read_length

PLAN = "x-ff-plan"
SCOPE = "x-ff-scope"
LISTENER = "x-ff-listener"
BODY_BYTES = "x-ff-body-bytes"
REQUEST_ID = "x-request-id"
SCHEME = "x-forwarded-proto"


def parse_request(asked: http.Request, *, now: float) -> Request:
    """Returns the request to decide; its `plan` is empty when Envoy named none."""
    header = asked.header
    return Request(
        method=asked.method,
        host=header("host"),
        path=asked.target,
        now=now,
        scheme=header(SCHEME) or "http",
        headers=asked.headers,
        address=header(ADDRESS),
        peer=header(PEER),
        listener=header(LISTENER),
        edge=header(SCOPE).partition("|")[0],
        plan=header(PLAN),
        body_bytes=read_length(header(BODY_BYTES)),
        request_id=header(REQUEST_ID),
        content=asked.body,
    )
