"""Stage 8: the workloads that take messages, over gRPC, each behind a Hop of its own.

In: the name of an Upstream and an Envelope. Out: the reply or the target's own error; a HopError when there is none.
Called by exchange. The deadline of the call is what is left of the message's: gRPC tells it to the target.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import grpc
import grpc.aio
from fastforward_pipeline.message import SAFE
from fastforward_shield import Breaker, Bulkhead, Hop, Meaning, Policy, Retry, Try

from fastforward.message.v1 import dispatch_pb2, dispatch_pb2_grpc, envelope_pb2

POLICY = Policy(
    timeout_s=15.0,
    bulkhead=Bulkhead(concurrent=256, queue=256, queue_s=0.5),
    retry=Retry(tries=3),
    breaker=Breaker(),
)
_OPTIONS = (
    # Each endpoint gets its share; the others go on when one is gone.
    ("grpc.service_config", '{"loadBalancingConfig": [{"round_robin": {}}]}'),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)
_LOOK_S = 1.0
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


@dataclass(slots=True)
class _Line:
    """The way to one Upstream, as long as its endpoints stay."""

    target: str
    channel: grpc.aio.Channel
    stub: dispatch_pb2_grpc.MessageServiceAsyncStub
    hop: Hop


def _is_repeatable(header: envelope_pb2.Header) -> bool:
    return bool(header.idempotency_key) or header.source.method in SAFE


class GrpcTargets:
    """A channel and a Hop for each Upstream, made when it is first called. Used in one event loop."""

    def __init__(self, find: Callable[[str], str], policy: Policy = POLICY) -> None:
        """`find` tells the gRPC target of NAMESPACE/NAME; empty where there is none."""
        self._find = find
        self._policy = policy
        self._lines: dict[str, _Line] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def __iter__(self) -> Iterator[Hop]:
        """Yields the hops in use."""
        return (line.hop for line in list(self._lines.values()))

    async def call(
        self, upstream: str, envelope: envelope_pb2.Envelope, deadline: float
    ) -> dispatch_pb2.HandleResponse:
        """See the port. What changes something and has no idempotency key is not sent twice if it may have arrived."""
        line = self._line(upstream)
        request = dispatch_pb2.HandleRequest(envelope=envelope)

        async def once(attempt: Try) -> dispatch_pb2.HandleResponse:
            return await line.stub.Handle(request, timeout=attempt.left_s())

        return await line.hop.call(once, deadline=deadline, repeatable=_is_repeatable(envelope.header))

    def _line(self, upstream: str) -> _Line:
        target, line = self._find(upstream), self._lines.get(upstream)
        if not target:
            raise KeyError(upstream)
        if line is None or line.target != target:
            channel = grpc.aio.insecure_channel(target, options=_OPTIONS)
            hop = Hop(upstream, self._policy, judge) if line is None else line.hop
            if line is not None:
                self._retire(line)
            line = _Line(target, channel, dispatch_pb2_grpc.MessageServiceStub(channel), hop)
            self._lines[upstream] = line
        return line

    async def follow(self) -> None:
        """Until cancelled: lets go of Upstreams that are gone, or gRPC would try to reach them for ever."""
        while True:
            await asyncio.sleep(_LOOK_S)
            self.let_go()

    def let_go(self) -> None:
        """Ends the connections to Upstreams that are gone or elsewhere."""
        for name, line in list(self._lines.items()):
            if self._find(name) != line.target:
                self._retire(self._lines.pop(name))

    def _retire(self, line: _Line) -> None:
        """What is on its way over an old line may still come to its end."""
        closing = asyncio.ensure_future(line.channel.close(self._policy.timeout_s))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Ends all connections."""
        for line in self._lines.values():
            await line.channel.close()
        for closing in self._closing:
            closing.cancel()
        self._lines.clear()
