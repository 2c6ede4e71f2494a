"""Refusals: what the proxy answers when it does not forward a request, as RFC 9457 problem documents.

Out: local reply mappers for the listener, direct responses for tables. Called by edge, route and table. REFUSALS says
which of Envoy's own words for what happened (`response_code_details`) means which STAGE/REASON; the decision service
refuses in the same form.
"""

from __future__ import annotations

from typing import NamedTuple

from google.protobuf import struct_pb2

from .chain import REASON_HEADER
from .protos import EnvoyMessage, accesslog_pb2, cel_pb2, http_connection_manager_pb2, substitution_format_string_pb2
from .wire import header_option, pack, uint32

CONTENT_TYPE = "application/problem+json"
_MANAGER = http_connection_manager_pb2


class Refusal(NamedTuple):
    """One kind of refusal. `expression` is CEL over the answer; `status` 0 keeps Envoy's own."""

    reason: str
    status: int
    title: str
    expression: str = ""


def by_rule(name: str) -> str:
    """Returns the expression for a refusal by the RBAC rule of that name."""
    return f"response.code_details == 'rbac_access_denied_matched_policy[{name}]'"


ADDRESS_DENIED = "admission/address-denied"
BODY_TOO_LARGE = "admission/body-too-large"
CONTENT_TYPE_REFUSED = "admission/content-type"
TOKEN_CRITICAL = "authentication/token-critical"
TENANT_NOT_ALLOWED = "authentication/tenant-not-allowed"
TENANT_CONFLICT = "authentication/tenant-conflict"
NOT_GRANTED = "authorization/not-granted"

NO_ROUTE_NAME = "-"
"""Name of the Route that answers where no rule does."""
NO_ROUTE = Refusal(
    "routing/no-route",
    404,
    "No route matches the request",
    "response.code_details == 'route_not_found'"
    f" || (response.code_details == 'direct_response' && xds.route_name == '{NO_ROUTE_NAME}')",
)
UNAVAILABLE = Refusal("routing/unavailable", 500, "The route has no usable destination")

_TRANSCODER = "response.code_details.contains('grpc_json_transcode_failure')"

REFUSALS = (
    Refusal(ADDRESS_DENIED, 403, "The client address is not admitted", by_rule(ADDRESS_DENIED)),
    Refusal(BODY_TOO_LARGE, 413, "The request body is too large", by_rule(BODY_TOO_LARGE)),
    Refusal(
        BODY_TOO_LARGE, 413, "The request body is too large", "response.code_details == 'request_payload_too_large'"
    ),
    Refusal(CONTENT_TYPE_REFUSED, 415, "The media type is not accepted", by_rule(CONTENT_TYPE_REFUSED)),
    Refusal(
        "authentication/token-missing",
        401,
        "A token is needed",
        "response.code_details == 'jwt_authn_access_denied{Jwt_is_missing}'",
    ),
    Refusal(
        "authentication/token-invalid",
        401,
        "The token is not valid",
        "response.code == 401 && response.code_details.startsWith('jwt_authn_access_denied')",
    ),
    Refusal("authentication/token-invalid", 401, "The token is not valid", by_rule(TOKEN_CRITICAL)),
    Refusal(
        "authentication/audience-not-allowed",
        403,
        "The token is for somebody else",
        "response.code_details.startsWith('jwt_authn_access_denied{Audiences')",
    ),
    Refusal(
        "authentication/not-ready",
        503,
        "The issuer's keys are not here yet",
        "response.code_details.startsWith('jwt_authn')",
    ),
    Refusal(TENANT_CONFLICT, 403, "The request names two tenants", by_rule(TENANT_CONFLICT)),
    Refusal(TENANT_NOT_ALLOWED, 403, "The token may not speak for this tenant", by_rule(TENANT_NOT_ALLOWED)),
    Refusal(
        NOT_GRANTED,
        403,
        "The caller is not allowed to do this",
        "response.code_details.startsWith('rbac_access_denied')",
    ),
    Refusal(
        "admission/page-foreign",
        403,
        "Pages of this origin may not send such requests",
        "response.code_details == 'csrf_origin_mismatch'",
    ),
    Refusal("ratelimit/exceeded", 429, "Too many requests", "response.code_details == 'local_rate_limited'"),
    Refusal(
        "authentication/decision-unavailable",
        503,
        "The decision service can't be reached",
        "response.code_details == 'ext_authz_error'",
    ),
    NO_ROUTE,
    Refusal(
        "routing/no-method",
        404,
        "No method fits the request",
        f"response.code == 404 && {_TRANSCODER}",
    ),
    Refusal(
        "normalization/call-malformed",
        400,
        "The request can't be made a call of the method",
        f"response.code == 400 && {_TRANSCODER}",
    ),
    Refusal(
        "normalization/reply-malformed",
        502,
        "What the upstream answered can't be written in JSON",
        f"response.code >= 500 && {_TRANSCODER}",
    ),
    Refusal(
        "dispatch/no-endpoint",
        0,
        "The upstream has no endpoint to ask",
        "response.code_details in ['no_healthy_upstream', 'cluster_not_found']",
    ),
    Refusal(
        "dispatch/timeout",
        0,
        "The upstream did not answer in time",
        "response.code_details in ['response_timeout', 'upstream_per_try_timeout', 'duration_timeout']",
    ),
    Refusal(
        "dispatch/overloaded",
        0,
        "The upstream has more requests than it is allowed",
        "response.code_details.startsWith('upstream_reset_before_response_started{overflow')"
        " || response.code_details == 'reached_concurrency_limit'",
    ),
    Refusal(
        "dispatch/connection-failed",
        0,
        "The connection to the upstream failed",
        "response.code_details.startsWith('upstream_reset_before_response_started')",
    ),
    Refusal(
        "normalization/reply-malformed",
        502,
        "The answer is malformed",
        "response.code_details == 'response_payload_too_large'",
    ),
    Refusal(
        "ingress/malformed-request",
        0,
        "The request is malformed",
        "response.code in [400, 408, 426, 431] && !(response.code_details in ['direct_response', 'ext_authz_denied'])",
    ),
)
"""In the order in which they are tried; what none of them names keeps Envoy's own answer."""


JUDGED = 421
"""What the decision service answers for a refusal with 503: a 5xx would be taken for its own failure."""


def emit_local_replies() -> EnvoyMessage:
    """Returns the mapping of Envoy's own answers to problem documents, and of JUDGED to what it stands for."""
    judged = _MANAGER.ResponseMapper(
        filter=emit_condition(f"response.code == {JUDGED} && response.code_details == 'ext_authz_denied'"),
        status_code=uint32(503),
    )
    return _MANAGER.LocalReplyConfig(mappers=[judged, *(emit_mapper(refusal) for refusal in REFUSALS)])


def emit_condition(expression: str) -> EnvoyMessage:
    """Returns the answers for which a CEL expression holds."""
    condition = accesslog_pb2.ExtensionFilter(
        name="cel", typed_config=pack(cel_pb2.ExpressionFilter(expression=expression))
    )
    return accesslog_pb2.AccessLogFilter(extension_filter=condition)


def emit_mapper(refusal: Refusal) -> EnvoyMessage:
    """Returns the mapping of one refusal."""
    return _MANAGER.ResponseMapper(
        filter=emit_condition(refusal.expression),
        status_code=uint32(refusal.status) if refusal.status else None,
        body_format_override=problem_document(refusal),
        headers_to_add=[header_option(REASON_HEADER, refusal.reason)],
    )


def emit_refusal(route: EnvoyMessage, refusal: Refusal) -> None:
    """Makes the Route answer with the refusal."""
    route.direct_response.status = refusal.status
    route.direct_response.body_format.CopyFrom(problem_document(refusal))
    route.response_headers_to_add.append(header_option(REASON_HEADER, refusal.reason))


def problem_document(refusal: Refusal) -> EnvoyMessage:
    """Returns the format of the answer's body."""
    stage, _, reason = refusal.reason.partition("/")
    body = struct_pb2.Struct()
    body.update(
        {
            "type": "about:blank",
            "title": refusal.title,
            "status": refusal.status or "%RESPONSE_CODE%",
            "stage": stage,
            "reason": reason,
            "requestId": "%REQ(X-REQUEST-ID)%",
        }
    )
    return substitution_format_string_pb2.SubstitutionFormatString(json_format=body, content_type=CONTENT_TYPE)
