"""Refusals as errors of messages, which every protocol has words for.

In: what a stage says. Out: an Error. Called by the stages, and by EntryPoint for what happens between them.
"""

from __future__ import annotations

from collections.abc import Iterable

from fastforward.message.v1 import envelope_pb2, error_pb2
from fastforward_pipeline.decision import Pairs, Refusal
from fastforward_pipeline.reason import FACTS, Reason

from .passage import Failed

LISTENED_TO = Refusal(reason=Reason.NO_ROUTE, detail="messages of this type are only listened to")
"""Of what nobody takes: adapters that can tell of events do so instead."""
_CODES = {
    400: error_pb2.CODE_INVALID_ARGUMENT,
    401: error_pb2.CODE_UNAUTHENTICATED,
    403: error_pb2.CODE_PERMISSION_DENIED,
    404: error_pb2.CODE_NOT_FOUND,
    409: error_pb2.CODE_ABORTED,
    413: error_pb2.CODE_INVALID_ARGUMENT,
    415: error_pb2.CODE_INVALID_ARGUMENT,
    422: error_pb2.CODE_INVALID_ARGUMENT,
    429: error_pb2.CODE_RESOURCE_EXHAUSTED,
    500: error_pb2.CODE_INTERNAL,
    # Not UNAVAILABLE: clients would send again what was handled.
    502: error_pb2.CODE_INTERNAL,
    503: error_pb2.CODE_UNAVAILABLE,
    504: error_pb2.CODE_DEADLINE_EXCEEDED,
}

_STATUSES = {
    error_pb2.CODE_INVALID_ARGUMENT: 400,
    error_pb2.CODE_DEADLINE_EXCEEDED: 504,
    error_pb2.CODE_NOT_FOUND: 404,
    error_pb2.CODE_ALREADY_EXISTS: 409,
    error_pb2.CODE_PERMISSION_DENIED: 403,
    error_pb2.CODE_RESOURCE_EXHAUSTED: 429,
    error_pb2.CODE_FAILED_PRECONDITION: 400,
    error_pb2.CODE_ABORTED: 409,
    error_pb2.CODE_UNIMPLEMENTED: 501,
    error_pb2.CODE_INTERNAL: 500,
    error_pb2.CODE_UNAVAILABLE: 503,
    error_pb2.CODE_UNAUTHENTICATED: 401,
}
"""Of errors that a target makes (https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto)."""
_REASONS = {reason.value: reason for reason in Reason}


def error_status(error: error_pb2.Error) -> int:
    """Returns what an error is in HTTP: our own reasons say it, other errors by their code."""
    reason = known_reason(error)
    return FACTS[reason].status if reason is not None else _STATUSES.get(error.code, 500)


def known_reason(error: error_pb2.Error) -> Reason | None:
    """Returns which of our own it is; None for what a target says in words of its own."""
    return _REASONS.get(error.reason)


def refuse(
    envelope: envelope_pb2.Envelope,
    refusal: Refusal,
    *,
    violations: Iterable[error_pb2.FieldViolation] = (),
    headers: Pairs = (),
) -> Failed:
    """Returns the end of a message by a stage's refusal."""
    return Failed(
        error=make_error(envelope, refusal.reason, violations=violations),
        refusal=refusal,
        headers=refusal.headers + headers,
    )


def make_error(
    envelope: envelope_pb2.Envelope, reason: Reason, *, violations: Iterable[error_pb2.FieldViolation] = ()
) -> error_pb2.Error:
    """Returns the error that clients are told."""
    facts = FACTS[reason]
    return error_pb2.Error(
        code=_CODES[facts.status],
        reason=reason.value,
        title=facts.title,
        violations=violations,
        message_id=envelope.header.id,
    )
