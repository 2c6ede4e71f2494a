"""Stage 8: the workloads that take messages, over gRPC, each behind a Hop of its own.

In: the name of an Upstream and an Envelope. Out: the reply or the target's own error; a HopError when there is none.
Called by exchange. The deadline of the call is what is left of the message's: gRPC tells it to the target.
"""

from collections.abc import Mapping
from typing import Protocol

import grpc
import grpc.aio
from fastforward_shield import Breaker, Bulkhead, Hop, Meaning, Policy, Retry, Try

from fastforward.message.v1 import dispatch_pb2, dispatch_pb2_grpc, envelope_pb2

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


class GrpcTargets:
    """A channel and a Hop for each Upstream, made when it is first called. Used in one event loop."""

    def __init__(self, addresses: Mapping[str, str], policy: Policy = POLICY) -> None:
        """`addresses` are gRPC targets by NAMESPACE/NAME, asked for at each first call."""
        self._addresses = addresses
        self._policy = policy
        self._open: dict[str, tuple[grpc.aio.Channel, dispatch_pb2_grpc.MessageServiceAsyncStub, Hop]] = {}

    @property
    def hops(self) -> list[Hop]:
        """Those in use."""
        return [hop for _, _, hop in self._open.values()]

    async def call(
        self, upstream: str, envelope: envelope_pb2.Envelope, deadline: float
    ) -> dispatch_pb2.HandleResponse:
        """See the port. Without an idempotency key nothing is sent twice that may have arrived."""
        if upstream not in self._open:
            channel = grpc.aio.insecure_channel(self._addresses[upstream])
            hop = Hop(upstream, self._policy, judge)
            self._open[upstream] = channel, dispatch_pb2_grpc.MessageServiceStub(channel), hop
        _, stub, hop = self._open[upstream]
        request = dispatch_pb2.HandleRequest(envelope=envelope)

        async def once(attempt: Try) -> dispatch_pb2.HandleResponse:
            return await stub.Handle(request, timeout=attempt.left_s())

        return await hop.call(once, deadline=deadline, repeatable=bool(envelope.header.idempotency_key))

    async def close(self) -> None:
        """Ends all connections."""
        for channel, _, _ in self._open.values():
            await channel.close()
        self._open.clear()
