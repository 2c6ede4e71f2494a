"""What a target answers, or why it does not, in the words of messages.

In: the name of an Upstream and an Envelope. Out: the reply, or an error of the target's or ours. Called by exchange and
gather.
"""

from __future__ import annotations

import grpc
import grpc.aio
from fastforward_pipeline.message import Failed, make_error
from fastforward_pipeline.reason import Reason
from fastforward_shield import CircuitOpenError, DeadlineExceededError, HopError, SaturatedError, TryTimeoutError

from fastforward.message.v1 import dispatch_pb2, envelope_pb2

from .causes import CAUSES
from .lines import UnconnectedError
from .once import Fate
from .targets import Targets

UNANSWERED = (HopError, KeyError, UnconnectedError, grpc.aio.AioRpcError)
"""What calls of targets and stages raise."""
_HOP_REASONS = (
    ((DeadlineExceededError, TryTimeoutError), Reason.OUT_OF_TIME),
    ((SaturatedError, CircuitOpenError), Reason.OVERLOADED),
)
_OF_ANSWER = frozenset(
    {"content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "te", "trailer", "content-type"}
)
_OWN = ("x-ff-", "x-envoy-")


async def call_target(
    targets: Targets, upstream: str, envelope: envelope_pb2.Envelope, deadline: float, fate: Fate
) -> envelope_pb2.Envelope | Failed:
    """Returns the reply, or the target's own error under the message's id. `deadline` is the loop's time."""
    try:
        response = await targets.call(upstream, envelope, deadline, fate)
    except UNANSWERED as error:
        return unanswered(envelope, error, upstream)
    return response_of(envelope, response)


def response_of(
    envelope: envelope_pb2.Envelope, response: dispatch_pb2.HandleResponse
) -> envelope_pb2.Envelope | Failed:
    """Returns the reply, or the handler's own error under the message's id."""
    match response.WhichOneof("outcome"):
        case "reply":
            _leave_out_ours(response.reply)
            return response.reply
        case "error":
            response.error.message_id = envelope.header.id
            return Failed(response.error)
        case _:
            return Failed(make_error(envelope, Reason.REPLY_MALFORMED))


def _leave_out_ours(reply: envelope_pb2.Envelope) -> None:
    """What only the gateway says of an answer goes: that it is still to come, how far it goes, what it is, and its own
    headers. Names are in lower case from here on: gRPC has no others, and whoever looks for one finds it.
    """
    if reply.header.completion.accepted:
        reply.header.completion.accepted = False
    fields = reply.header.completion.fields
    for each in fields:
        if not each.name.islower():
            each.name = each.name.lower()
    kept = [each for each in fields if not _is_ours(each.name)]
    if len(kept) < len(fields):
        del fields[:]
        fields.extend(kept)


def _is_ours(name: str) -> bool:
    return name in _OF_ANSWER or name.startswith(_OWN)


def unanswered(envelope: envelope_pb2.Envelope, error: Exception, callee: str) -> Failed:
    """Returns why there was no answer, and when it makes sense to ask again. The log is told the cause itself."""
    CAUSES.tell(callee, error)
    failure = make_error(envelope, reason_of(error))
    if isinstance(error, HopError) and error.retry_after_s:
        failure.retry_after.FromMilliseconds(int(error.retry_after_s * 1000))
    return Failed(failure)


def reason_of(error: Exception) -> Reason:
    """Returns why a call was not answered."""
    if isinstance(error, grpc.aio.AioRpcError) and error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return Reason.OUT_OF_TIME
    return next((reason for kinds, reason in _HOP_REASONS if isinstance(error, kinds)), Reason.UNREACHABLE)
