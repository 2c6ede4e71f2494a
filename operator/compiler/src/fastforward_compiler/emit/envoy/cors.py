"""Cross-origin settings to the filter cors (Fetch standard), which answers preflights and marks answers.

In: ir.Cors. Out: its per-route configuration. Called by entry.
"""

from __future__ import annotations

from fastforward_compiler import ir

from .protos import EnvoyMessage, cors_pb2, string_pb2
from .wire import boolean, exact, literal_pattern, regex


def emit_cors(cors: ir.Cors) -> EnvoyMessage:
    """Returns the policy."""
    return cors_pb2.CorsPolicy(
        allow_origin_string_match=[origin(text) for text in cors.allow_origins],
        allow_methods=", ".join(cors.allow_methods),
        allow_headers=", ".join(cors.allow_headers),
        expose_headers=", ".join(cors.expose_headers),
        max_age=str(cors.max_age_ms // 1000),
        allow_credentials=boolean(cors.allow_credentials),
        forward_not_matching_preflights=boolean(not cors.answers_all),
    )


def origin(text: str) -> EnvoyMessage:
    """Returns the matcher of an origin; `*` alone is every origin, inside a host it is one or more labels."""
    if text == "*" or "*" not in text:
        return exact(text)
    return string_pb2.StringMatcher(safe_regex=regex("[a-zA-Z0-9.-]+".join(map(literal_pattern, text.split("*")))))
