"""Errors in GraphQL's words: `errors` with `extensions` that say what every protocol says.

In: errors of messages, refusals of the adapter, what graphql-core finds. Out: GraphQLErrors, and the objects that
clients read (https://spec.graphql.org/October2021/#sec-Errors). Called by loading, limits, document and answer.
"""

from __future__ import annotations

from typing import Any

import structlog
from fastforward_pipeline.reason import FACTS, Reason
from graphql import GraphQLError

from fastforward.message.v1 import error_pb2

log = structlog.get_logger(__name__)
_CODES = {
    400: error_pb2.CODE_INVALID_ARGUMENT,
    404: error_pb2.CODE_NOT_FOUND,
    500: error_pb2.CODE_INTERNAL,
    502: error_pb2.CODE_INTERNAL,
    503: error_pb2.CODE_UNAVAILABLE,
    504: error_pb2.CODE_DEADLINE_EXCEEDED,
}
_OURS = "The request could not be handled"


def code_name(code: error_pb2.Code.ValueType) -> str:
    """Returns what gRPC calls it: `INVALID_ARGUMENT`."""
    return error_pb2.Code.Name(code).removeprefix("CODE_")


def error_of(error: error_pb2.Error) -> GraphQLError:
    """Returns the error of a message."""
    extensions: dict[str, Any] = {
        "code": code_name(error.code),
        "reason": error.reason,
        "messageId": error.message_id,
    }
    if error.HasField("retry_after"):
        extensions["retryAfter"] = max(1, -(-error.retry_after.ToMilliseconds() // 1000))
    if error.violations:
        extensions["errors"] = [
            {"pointer": each.pointer, "detail": each.description, "rule": each.rule} for each in error.violations
        ]
    return GraphQLError(error.title, extensions=extensions)


def refusal(reason: Reason, detail: str = "", **told: str) -> GraphQLError:
    """Returns a refusal of the adapter's own."""
    facts = FACTS[reason]
    extensions = {"code": code_name(_CODES[facts.status]), "reason": reason.value, **told}
    return GraphQLError(detail or facts.title, extensions=extensions)


def describe(error: GraphQLError, reason: Reason = Reason.REPLY_MALFORMED) -> dict[str, Any]:
    """Returns what the client reads. An error that says no reason itself has `reason`."""
    cause = error.original_error
    if cause is not None and not isinstance(cause, (GraphQLError, TypeError)):
        # Errors of completion are TypeErrors; everything else is ours, and no client's business.
        log.error("field failed", path=error.path, exc_info=cause)
        return {**error.formatted, "message": _OURS, "extensions": {"code": "INTERNAL"}}
    formatted = dict(error.formatted)
    if "extensions" not in formatted:
        formatted["extensions"] = refusal(reason).extensions
    return formatted
