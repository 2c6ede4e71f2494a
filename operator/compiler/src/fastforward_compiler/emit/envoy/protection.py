"""Headers by which browsers protect the client, to a filter that writes those which an answer lacks.

In: ir.SecurityHeaders. Out: the filter. Called by edge. Sources: RFC 6797, Content
Security Policy Level 3, the OWASP Secure Headers Project.
"""

from __future__ import annotations

from fastforward_compiler import ir

from .protos import EnvoyMessage, header_mutation_pb2, http_connection_manager_pb2, mutation_rules_pb2
from .wire import ADD_IF_ABSENT, header_option, header_value, pack

SECURITY = "security"
_DAY_S = 86_400
_POLICY = "content-security-policy"
_PRESETS = {
    "Api": {
        _POLICY: "default-src 'none'; frame-ancestors 'none'",
        "cross-origin-resource-policy": "same-origin",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
    },
    "Web": {
        _POLICY: "frame-ancestors 'self'; object-src 'none'; base-uri 'self'",
        "cross-origin-opener-policy": "same-origin",
        "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        "referrer-policy": "strict-origin-when-cross-origin",
        "x-content-type-options": "nosniff",
        "x-frame-options": "SAMEORIGIN",
    },
}


def security_filters(said: ir.SecurityHeaders | None, *, tls: bool) -> list[EnvoyMessage]:
    """Returns the filter, or none; `tls` says whether clients come by TLS, for only then may HSTS be said."""
    if said is None:
        return []
    mutation = mutation_rules_pb2.HeaderMutation
    options = [
        header_option(name, header_value(value), ADD_IF_ABSENT)
        for name, value in security_headers(said, tls=tls).items()
    ]
    mutations = header_mutation_pb2.Mutations(response_mutations=[mutation(append=option) for option in options])
    config = header_mutation_pb2.HeaderMutation(mutations=mutations)
    return [http_connection_manager_pb2.HttpFilter(name=SECURITY, typed_config=pack(config))]


def security_headers(said: ir.SecurityHeaders, *, tls: bool) -> dict[str, str]:
    """Returns the headers."""
    headers = dict(_PRESETS[said.preset])
    if said.content_security_policy:
        headers[_POLICY] = said.content_security_policy
    if tls and said.hsts_days:
        headers["strict-transport-security"] = f"max-age={said.hsts_days * _DAY_S}; includeSubDomains"
    return headers
