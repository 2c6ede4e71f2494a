"""Stage 8: the workloads that take messages, over gRPC, each behind a Hop of its own.

In: the name of an Upstream and an Envelope. Out: the reply or the target's own error; a HopError when there is none.
Called by exchange. The deadline of the call is what is left of the message's: gRPC tells it to the target.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import grpc
import grpc.aio
from fastforward_pipeline.message import SAFE
from fastforward_shield import Breaker, Bulkhead, Meaning, Policy, Retry, Try

from fastforward.message.v1 import dispatch_pb2, dispatch_pb2_grpc, envelope_pb2

from .lines import Lines

POLICY = Policy(
    timeout_s=15.0,
    bulkhead=Bulkhead(concurrent=256, queue=256, queue_s=0.5),
    retry=Retry(tries=3),
    breaker=Breaker(),
)
_ANSWERS = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.UNAUTHENTICATED,
    }
)


class Targets(Protocol):
    """Whoever takes messages."""

    async def call(
        self, upstream: str, envelope: envelope_pb2.Envelope, deadline: float
    ) -> dispatch_pb2.HandleResponse:
        """Raises KeyError when nobody has that name, HopError when there is no answer. `deadline`: the loop's time."""
        ...


def judge(error: Exception) -> Meaning:
    """Returns what a failed call means (https://grpc.github.io/grpc/core/md_doc_statuscodes.html)."""
    if not isinstance(error, grpc.aio.AioRpcError):
        return Meaning.FAILED
    if error.code() is grpc.StatusCode.UNAVAILABLE:
        return Meaning.AGAIN
    return Meaning.ANSWERED if error.code() in _ANSWERS else Meaning.FAILED


def _is_repeatable(header: envelope_pb2.Header) -> bool:
    return bool(header.idempotency_key) or header.source.method in SAFE


class GrpcTargets:
    """A channel and a Hop for each Upstream, made when it is first called. Used in one event loop."""

    def __init__(self, find: Callable[[str], str], policy: Policy = POLICY) -> None:
        """`find` tells the gRPC target of NAMESPACE/NAME; empty where there is none."""
        self.lines = Lines(find, dispatch_pb2_grpc.MessageServiceStub, judge)
        self._policy = policy

    async def call(
        self, upstream: str, envelope: envelope_pb2.Envelope, deadline: float
    ) -> dispatch_pb2.HandleResponse:
        """See the port. What changes something and has no idempotency key is not sent twice if it may have arrived."""
        line = self.lines.to(upstream, self._policy)
        request = dispatch_pb2.HandleRequest(envelope=envelope)

        async def once(attempt: Try) -> dispatch_pb2.HandleResponse:
            return await line.stub.Handle(request, timeout=attempt.left_s())

        return await line.hop.call(once, deadline=deadline, repeatable=_is_repeatable(envelope.header))
