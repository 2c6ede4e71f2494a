"""External authorization: a service of somebody else's that is asked whether a request may pass.

In: `authorization.external` of an AuthPolicy. Out: `External`. Called by authpolicy and by the compiler's
translate/external.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from .durations import Within
from .formats import DURATION, HeaderName, PathText
from .lists import Items
from .meta import Model, Ref, Rule

_GATEWAYS_OWN = (
    "^(?i)(host|connection|proxy-connection|keep-alive|te|trailer|transfer-encoding|upgrade|expect|content-length"
    "|x-request-id|x-forwarded-.*|x-ff-.*|x-envoy-.*)$"
)
_OWN_HEADER = re.compile(_GATEWAYS_OWN.replace("^(?i)", "").removesuffix("$"), re.IGNORECASE)


def _are_free(names: tuple[str, ...]) -> bool:
    return not any(_OWN_HEADER.fullmatch(name) for name in names)


class External(Model):
    """A service that is asked whether a request may pass, over HTTP/1.1: 2xx allows it.

    401, 403 and 429 refuse with that status, with `www-authenticate`, `retry-after` and the first KiB of what the
    service says; any other answer refuses with 403. It is asked with the request's method, host and no body.
    """

    upstream: Ref
    """Upstream that is asked, with the protocol HTTP1. With its `tls` the service must prove what that says; it is
    shown no certificate. In another namespace it needs a ReferenceGrant there.
    """
    protocol: Literal["HTTP", "OPA"] = "HTTP"
    """How it is asked. With OPA by the Data API of Open Policy Agent: POST of `path` as it is, with request and
    identity as the `input`; 200 with the `result` true, or an object whose `allow` is true, allows it.
    """
    path: PathText = "/"
    """Path that is asked for; the request's path and query follow it. With OPA that of the rule:
    `/v1/data/http/authz/allow`.
    """
    append_path: bool = True
    """Whether the request's path and query follow; if not, they stand in `x-forwarded-uri` alone."""
    request_headers: Annotated[tuple[HeaderName, ...], Items(most=32, distinct=True)] = ("authorization",)
    """Headers of the request that the service is sent, as clients wrote them. It is always sent
    `x-forwarded-for`, `-host`, `-method`, `-proto` and `-uri`, `x-request-id`, and by whom the caller is proven to be
    `x-ff-tenant`, `x-ff-subject`, `x-ff-roles`, `x-ff-permissions`.
    """
    answer_headers: Annotated[tuple[HeaderName, ...], Items(most=16, distinct=True)] = ()
    """Headers of an answer that allows, written over those of the request. What clients send by these names is taken
    away.
    """
    timeout: Annotated[str, DURATION, Within("1ms", "5s")] = "200ms"
    """How long the service may take; the decision service gets as much longer."""
    on_failure: Literal["Closed", "Open"] = "Closed"
    """What happens when the service can't be reached, does not answer in time, or says 502, 503 or 504: Closed refuses
    with 503, Open lets the request pass.
    """

    rules_cel = (
        Rule(
            "!self.path.contains('?') && !self.path.contains('#')",
            "The path has no query.",
            "path",
            lambda s: not {"?", "#"} & set(s.path),
        ),
        Rule(
            "self.protocol == 'HTTP' || !has(self.answerHeaders) || size(self.answerHeaders) == 0",
            "Only services of HTTP tell headers.",
            "answerHeaders",
            lambda s: s.protocol == "HTTP" or not s.answer_headers,
        ),
        Rule(
            f"!has(self.requestHeaders) || self.requestHeaders.all(h, !h.matches('{_GATEWAYS_OWN}'))",
            "These headers the gateway writes itself.",
            "requestHeaders",
            lambda s: _are_free(s.request_headers),
        ),
        Rule(
            f"!has(self.answerHeaders) || self.answerHeaders.all(h, !h.matches('{_GATEWAYS_OWN}'))",
            "These headers belong to the gateway.",
            "answerHeaders",
            lambda s: _are_free(s.answer_headers),
        ),
    )
