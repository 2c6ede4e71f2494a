"""How a decision is asked for: with the request's body, where the rule says what that must be.

In: an ir.Entry. Out: per-route configuration of the filters `decision.open` and `decision.closed`, packed. Called by
entry.
"""

from __future__ import annotations

from google.protobuf import any_pb2

from fastforward_compiler import ir

from .protos import EnvoyMessage, ext_authz_pb2
from .wire import pack

_ASK = pack(ext_authz_pb2.ExtAuthzPerRoute(check_settings=ext_authz_pb2.CheckSettings()))


def held_bytes(body: ir.Body) -> int:
    """Returns how much of a body is held, whatever connections may hold otherwise."""
    return body.max_bytes + 1


def emit_question(entry: ir.Entry, service: EnvoyMessage | None = None) -> any_pb2.Any:
    """Returns the configuration that asks; `service` is whom and how, where that is not as the filter does.

    Envoy holds one byte more than a body may have: a body that fills what is held is asked about as if it were whole,
    and so what goes on behind the last byte would never have been judged.
    """
    if entry.body is None and service is None:
        return _ASK
    settings = ext_authz_pb2.CheckSettings(http_service=service)
    if entry.body is None:
        return pack(ext_authz_pb2.ExtAuthzPerRoute(check_settings=settings))
    held = ext_authz_pb2.BufferSettings(
        max_request_bytes=held_bytes(entry.body), allow_partial_message=True, pack_as_bytes=True
    )
    settings.with_request_body.CopyFrom(held)
    return pack(ext_authz_pb2.ExtAuthzPerRoute(check_settings=settings))
