"""Stage 8: the workloads that take messages, over gRPC, each behind a Hop of its own.

In: the name of an Upstream and an Envelope. Out: the reply or the target's own error; a HopError when there is none.
Called by exchange. The deadline of the call is what is left of the message's: gRPC tells it to the target.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

import grpc
import grpc.aio
import structlog
from fastforward_kit.validation import fault_of
from fastforward_pipeline import Snapshot
from fastforward_pipeline.compiled.upstream import Upstream
from fastforward_pipeline.compiled.workload import Workload
from fastforward_pipeline.message import SAFE
from fastforward_shield import Breaker, Bulkhead, Hop, Meaning, Policy, Retry, Try

from fastforward.message.v1 import dispatch_pb2, dispatch_pb2_grpc, envelope_pb2, json_pb2
from fastforward_entrypoint.endpoint import Current

from .lines import Lines, UnconnectedError, policy_of
from .once import Fate
from .speech import JSON, ask_in_json
from .tracing import Metadata, call_metadata

log = structlog.get_logger(__name__)

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


async def _handle(
    stub: dispatch_pb2_grpc.MessageServiceAsyncStub,
    request: dispatch_pb2.HandleRequest,
    attempt: Try,
    metadata: Metadata | None,
    in_json: Hop | None,
) -> dispatch_pb2.HandleResponse:
    """One call, in JSON where a hop is given that says so, and it is served there."""

    async def call(said: json_pb2.Transcribed) -> json_pb2.Transcribed:
        wrapped = dispatch_pb2.HandleJsonRequest(request=said)
        return (await stub.HandleJson(wrapped, timeout=attempt.left_s(), metadata=metadata)).response

    if in_json is not None:
        content = request.envelope.payload.body
        told = await ask_in_json(in_json, request, content, call, dispatch_pb2.HandleResponse)
        if told is not None:
            return told
    return await stub.Handle(request, timeout=attempt.left_s(), metadata=metadata)


class Targets(Protocol):
    """Whoever takes messages."""

    async def call(
        self, upstream: str, envelope: envelope_pb2.Envelope, deadline: float, fate: Fate | None = None
    ) -> dispatch_pb2.HandleResponse:
        """Returns what the target answers, nothing (no outcome) where that breaks the rules of its .proto; `fate` tells
        whether it may have handled a message that it did not answer.

        Raises KeyError when nobody has that name, UnconnectedError when it can't be reached, AioRpcError and HopError
        when there is no answer. `deadline` is the loop's time.
        """
        ...


def judge(error: Exception) -> Meaning:
    """Returns what a failed call means (https://grpc.github.io/grpc/core/md_doc_statuscodes.html)."""
    if isinstance(error, UnconnectedError):
        return Meaning.AGAIN
    if not isinstance(error, grpc.aio.AioRpcError):
        return Meaning.FAILED
    # UNAVAILABLE as well: it is what gRPC says when a connection ends under a call.
    return Meaning.ANSWERED if error.code() in _ANSWERS else Meaning.FAILED


def is_repeatable(header: envelope_pb2.Header) -> bool:
    """Whether the message may be sent again after it may have arrived."""
    return bool(header.idempotency_key) or header.source.method in SAFE


def how_told(snapshots: Current) -> Callable[[str], Workload | None]:
    """Returns what tells how a Workload wants an Upstream called. Workloads are gone through once for a snapshot."""
    known: tuple[Snapshot | None, Mapping[str, Workload]] = (None, {})

    def find(upstream: str) -> Workload | None:
        nonlocal known
        snapshot = snapshots.current
        if known[0] is not snapshot:
            known = snapshot, _by_target(snapshot)
        return known[1].get(upstream)

    return find


def _by_target(snapshot: Snapshot) -> Mapping[str, Workload]:
    found: dict[str, Workload] = {}
    for workload in snapshot.workloads.values():
        if not workload.stages:
            found.setdefault(workload.upstream, workload)
    return found


class GrpcTargets:
    """A line for each Upstream, made when it is first called. Used in one event loop."""

    def __init__(
        self,
        find: Callable[[str], Upstream | None],
        policy: Policy = POLICY,
        find_how: Callable[[str], Workload | None] = lambda _: None,
    ) -> None:
        """`find` tells the Upstream NAMESPACE/NAME, `find_how` what a Workload says of calls there."""
        self.lines = Lines(find, dispatch_pb2_grpc.MessageServiceStub, judge)
        self._policy = policy
        self._find_how = find_how

    def _policy_of(self, how: Workload | None) -> Policy:
        if how is None or not how.tries:
            return self._policy
        return replace(policy_of(how), breaker=self._policy.breaker)

    async def call(
        self, upstream: str, envelope: envelope_pb2.Envelope, deadline: float, fate: Fate | None = None
    ) -> dispatch_pb2.HandleResponse:
        """See the port. What changes something and has no idempotency key is not sent twice if it may have arrived."""
        how = self._find_how(upstream)
        json = how is not None and how.json
        line = self.lines.to(upstream, self._policy_of(how), note=JSON if json else "")
        hop = line.hop
        request = dispatch_pb2.HandleRequest(envelope=envelope)
        metadata = call_metadata(envelope.header.trace)
        known = fate or Fate()

        def sent() -> None:
            known.doubtful = True

        async def once(attempt: Try) -> dispatch_pb2.HandleResponse:
            async def handle(stub: dispatch_pb2_grpc.MessageServiceAsyncStub) -> dispatch_pb2.HandleResponse:
                return await _handle(stub, request, attempt, metadata, hop if json else None)

            try:
                response = await line.call(envelope.header.source, handle, sent)
            except grpc.aio.AioRpcError as error:
                known.doubtful = error.code() not in _ANSWERS
                raise
            fault = fault_of(response)
            known.doubtful = bool(fault)
            if fault:
                log.warning("reply refused", upstream=upstream, message=envelope.header.id, why=fault)
                return dispatch_pb2.HandleResponse()
            return response

        return await hop.call(once, deadline=deadline, repeatable=is_repeatable(envelope.header))
