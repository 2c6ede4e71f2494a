"""Errors of messages as gRPC tells them: a code, a sentence, and details for programs.

In: a Failed. Out: code, details and trailing metadata (`grpc-status-details-bin`, google.rpc.Status). Called by call.
Source: https://google.aip.dev/193.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import grpc
from fastforward_pipeline.message import Failed
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from fastforward.message.v1 import error_pb2

DOMAIN = "gateway.fastforward.dev"
DETAILS = "grpc-status-details-bin"
Metadata = tuple[tuple[str, str | bytes], ...]
_CODES = {code.value[0]: code for code in grpc.StatusCode if code is not grpc.StatusCode.OK}
_OF_HTTP = frozenset({"content-type", "content-length", "connection", "transfer-encoding", "te", "vary"})


class Status(NamedTuple):
    """How a call ends."""

    code: grpc.StatusCode
    title: str
    metadata: Metadata


def make_status(failed: Failed, path_of: Callable[[str], str]) -> Status:
    """Returns the status of an error; `path_of` makes a field's path of its JSON pointer."""
    error = failed.error
    code = _CODES.get(int(error.code), grpc.StatusCode.INTERNAL)
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata={"messageId": error.message_id})
    ]
    if error.violations:
        found = [
            error_details_pb2.BadRequest.FieldViolation(
                field=path_of(each.pointer), description=each.description, reason=each.rule
            )
            for each in error.violations
        ]
        details.append(error_details_pb2.BadRequest(field_violations=found))
    if (retry := _retry(failed)) is not None:
        details.append(retry)
    status = status_pb2.Status(code=code.value[0], message=error.title, details=map(_packed, details))
    return Status(code, error.title, (*told(failed.headers), (DETAILS, status.SerializeToString())))


def told(pairs: Iterable[tuple[str, str]]) -> Metadata:
    """Returns headers as metadata, without those that gRPC has no use or no letters for."""
    return tuple(
        (name, value)
        for name, value in pairs
        if name not in _OF_HTTP
        and not name.startswith(("grpc-", ":"))
        and not name.endswith("-bin")
        and value.isascii()
        and value.isprintable()
    )


def _retry(failed: Failed) -> error_details_pb2.RetryInfo | None:
    retry = error_details_pb2.RetryInfo()
    if failed.error.HasField("retry_after"):
        retry.retry_delay.CopyFrom(failed.error.retry_after)
        return retry
    after = next((value for name, value in failed.headers if name == "retry-after"), "")
    if not after.isdigit():
        return None
    retry.retry_delay.FromSeconds(int(after))
    return retry


def _packed(detail: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed


def too_large(message_id: str) -> Failed:
    """Returns the end of a call whose messages are more than one may hold."""
    title = "The message is too large"
    code = error_pb2.CODE_RESOURCE_EXHAUSTED
    return Failed(error_pb2.Error(code=code, reason="admission/body-too-large", title=title, message_id=message_id))
