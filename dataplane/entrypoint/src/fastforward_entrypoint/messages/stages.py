"""Stages that run in workloads of their own: asked over gRPC, behind Shield; and served to others.

In: a message before such a stage. Out: the same with what the stage has written, or why it ends. Called by exchange.
Which stages these are is in the snapshot of the message's beginning: a stage that moves loses no message.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from operator import attrgetter
from typing import Any, NamedTuple, Protocol

import grpc.aio
import structlog
from fastforward_kit import transcription
from fastforward_kit.tls import NodeTls
from fastforward_kit.validation import fault_of
from fastforward_pipeline import Snapshot
from fastforward_pipeline.compiled.upstream import Upstream
from fastforward_pipeline.message import (
    Asks,
    Failed,
    Passage,
    Replied,
    RuleUnknownError,
    Seal,
    make_error,
    open_passage,
    process_here,
    take_over,
)
from fastforward_pipeline.reason import Reason
from fastforward_shield import Hop, Policy, Try

from fastforward.message.v1 import json_pb2, stage_pb2, stage_pb2_grpc
from fastforward_entrypoint.endpoint import Current

from .internal import Internal
from .lines import Lines, policy_of
from .speech import JSON, ask_in_json
from .targets import judge
from .tracing import Metadata, call_metadata
from .watch import Watch, unwatched

log = structlog.get_logger(__name__)

Context = grpc.aio.ServicerContext[Any, Any]
Admit = Callable[[Context], Awaitable[None]]
_SIGNS_NOTHING = Seal(None, {})
_SIGNED = frozenset({"routing"})
"""Stages that come after authorization: what they are asked about is signed."""


class Remote(NamedTuple):
    """Whom to ask for a stage, and how the calls go."""

    upstream: str
    policy: Policy
    json: bool = False
    pods: bool = False
    """Whether the operator runs them: EntryPoint does the work until they are there."""

    @property
    def note(self) -> str:
        """What the hop is marked with."""
        return JSON if self.json else ""


class Stages(Protocol):
    """Whoever runs stages elsewhere."""

    def find(self, passage: Passage, stage: str) -> Remote | None:
        """Who runs the stage for this message; None for EntryPoint itself."""
        ...

    async def process(self, remote: Remote, stage: str, passage: Passage, deadline: float) -> Failed | None:
        """Raises what targets raise."""
        ...


class GrpcStages:
    """A line for each Upstream that runs stages."""

    def __init__(self, find: Callable[[str], Upstream | None], tls: NodeTls | None = None) -> None:
        """`find` tells the Upstream NAMESPACE/NAME; by `tls` this node proves who it is to pods."""
        self.lines = Lines(find, stage_pb2_grpc.StageServiceStub, judge, mark="stages of ", tls=tls)
        self._known: tuple[Snapshot | None, Mapping[tuple[str, str], Remote]] = (None, {})

    def find(self, passage: Passage, stage: str) -> Remote | None:
        """See the port. Of several the first by name; a message without such Workloads costs one look."""
        snapshot = passage.exchange.snapshot
        if not snapshot.workloads:
            return None
        if self._known[0] is not snapshot:
            self._known = snapshot, _by_stage(snapshot)
        namespace = passage.envelope.header.source.edge.partition("/")[0]
        remote = self._known[1].get((namespace, stage))
        if remote is not None and remote.pods and not self._is_there(remote):
            return None
        return remote

    def _is_there(self, remote: Remote) -> bool:
        try:
            return self.lines.to(remote.upstream, remote.policy, remote.note).is_there()
        except KeyError:
            return False

    async def process(self, remote: Remote, stage: str, passage: Passage, deadline: float) -> Failed | None:
        """See the port. A stage changes nothing, so it may be asked again."""
        line = self.lines.to(remote.upstream, remote.policy, remote.note)
        hop = line.hop
        request = stage_pb2.ProcessRequest(
            stage=stage, direction=stage_pb2.DIRECTION_INBOUND, envelope=passage.envelope
        )
        metadata = call_metadata(passage.envelope.header.trace)

        async def once(attempt: Try) -> stage_pb2.ProcessResponse:
            async def ask(stub: stage_pb2_grpc.StageServiceAsyncStub) -> stage_pb2.ProcessResponse:
                return await _process(stub, request, attempt, metadata, hop if remote.json else None)

            return await line.call(passage.envelope.header.source, ask, _sent)

        response = await hop.call(once, deadline=deadline)
        if fault := fault_of(response):
            log.warning("answer of a stage refused", upstream=remote.upstream, stage=stage, why=fault)
            return Failed(make_error(passage.envelope, Reason.STAGE_MALFORMED))
        if response.HasField("error"):
            return Failed(response.error)
        take_over(passage, stage, response.envelope)
        return None


async def _process(
    stub: stage_pb2_grpc.StageServiceAsyncStub,
    request: stage_pb2.ProcessRequest,
    attempt: Try,
    metadata: Metadata | None,
    in_json: Hop | None,
) -> stage_pb2.ProcessResponse:
    """One call, in JSON where a hop is given that says so, and it is served there."""

    async def call(said: json_pb2.Transcribed) -> json_pb2.Transcribed:
        wrapped = stage_pb2.ProcessJsonRequest(request=said)
        return (await stub.ProcessJson(wrapped, timeout=attempt.left_s(), metadata=metadata)).response

    if in_json is not None:
        content = request.envelope.payload.body
        told = await ask_in_json(in_json, request, content, call, stage_pb2.ProcessResponse)
        if told is not None:
            return told
    return await stub.Process(request, timeout=attempt.left_s(), metadata=metadata)


def _sent() -> None:
    """A stage changes nothing: whether it was asked is nobody's concern."""


def _by_stage(snapshot: Snapshot) -> Mapping[tuple[str, str], Remote]:
    found: dict[tuple[str, str], Remote] = {}
    running = (workload for workload in snapshot.workloads.values() if workload.stages)
    for workload in sorted(running, key=attrgetter("name")):
        known = snapshot.upstreams.get(workload.upstream)
        if known is None:
            # It is still to come, in another part of the snapshot: until then nobody knows what is there.
            continue
        remote = Remote(workload.upstream, policy_of(workload), json=workload.json, pods=known.proven)
        for stage in workload.stages:
            found.setdefault((workload.namespace, stage), remote)
    return found


class StageServer(stage_pb2_grpc.StageServiceServicer):
    """Runs stages for others, by the snapshot of this process; `admit` ends calls of those who may not ask."""

    def __init__(
        self,
        snapshots: Current,
        admit: Admit,
        clock: Callable[[], float] = time.time,
        watch: Watch | None = None,
        seal: Seal | None = None,
    ) -> None:
        """`seal` knows by which keys messages are signed; without one that is not looked at."""
        self._seal = seal
        self._snapshots = snapshots
        self._admit = admit
        self._clock = clock
        self._watch = watch or unwatched()

    async def Process(  # noqa: N802 - the .proto names it
        self, request: stage_pb2.ProcessRequest, context: Context
    ) -> stage_pb2.ProcessResponse:
        """One stage's work on one message."""
        await self._admit(context)
        if fault := fault_of(request):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, fault)
        if forged := self._forged(request):
            log.warning("message refused", stage=request.stage, message=request.envelope.header.id, why=forged)
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, forged)
        began_ns = time.time_ns()
        passage = open_passage(request.envelope, self._snapshots.current, _SIGNS_NOTHING, now=self._clock())
        try:
            outcome = process_here(passage, request.stage)
        except KeyError:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, f"the stage {request.stage!r} does not run here")
        except RuleUnknownError as error:
            # This process is behind, or ahead: who asks knows better, and where it can do the work itself, it does.
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        self._watch.served(request, began_ns, outcome)
        if isinstance(outcome, (Asks, Replied)):
            await context.abort(grpc.StatusCode.INTERNAL, f"the stage {request.stage!r} asks for something")
        if isinstance(outcome, Failed):
            return stage_pb2.ProcessResponse(error=outcome.error)
        return stage_pb2.ProcessResponse(envelope=passage.envelope)

    def _forged(self, request: stage_pb2.ProcessRequest) -> str:
        if self._seal is None or request.stage not in _SIGNED:
            return ""
        return self._seal.broken(request.envelope, self._clock())

    async def ProcessJson(  # noqa: N802 - the .proto names it
        self, request: stage_pb2.ProcessJsonRequest, context: Context
    ) -> stage_pb2.ProcessJsonResponse:
        """The same in JSON. Who asks with fields that are not known here is told to ask in protobuf."""
        await self._admit(context)
        try:
            asked = transcription.read(stage_pb2.ProcessRequest, request.request)
        except transcription.TranscriptionError as error:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, str(error))
        response = await self.Process(asked, context)
        said = transcription.transcribe(response, response.envelope.payload.body)
        return stage_pb2.ProcessJsonResponse(response=said)


async def serve_stages(
    address: str,
    snapshots: Current,
    tls: NodeTls | None,
    watch: Watch | None = None,
    seal: Seal | None = None,
    *,
    shared: bool = False,
) -> None:
    """Serves them until cancelled, at an internal address; `shared`: with other processes. Raises OSError when it can't
    be had.
    """
    internal = Internal(address, tls, shared=shared)
    server = StageServer(snapshots, internal.admit, watch=watch, seal=seal)
    await internal.serve([partial(stage_pb2_grpc.add_StageServiceServicer_to_server, server)])
