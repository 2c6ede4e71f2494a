"""Adapters and EntryPoint apart: the exchange over gRPC, at both of its ends.

In: an Envelope as an adapter made it, in the adapter's process; the same as it came, in EntryPoint's. Out: the reply,
or why there is none; events. `RemoteExchange` is the port that adapters are given, so they see no difference;
`ExchangeServer` hands on to the exchange of its own process. Called by bootstrap and inside.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Any, NamedTuple, Self, cast

import grpc
import grpc.aio
import structlog
from fastforward_kit.tls import NodeTls
from fastforward_pipeline import message
from fastforward_pipeline.decision import Pairs, Refusal
from fastforward_pipeline.message import Answered, Failed, make_error
from fastforward_pipeline.reason import Reason
from fastforward_shield import (
    Bulkhead,
    Hop,
    HopError,
    Meaning,
    Policy,
    Retry,
    Try,
)

from fastforward.message.v1 import dispatch_pb2, dispatch_pb2_grpc, envelope_pb2

from .answer import reason_of
from .causes import CAUSES
from .endpoint import CONNECTING
from .internal import MAX_BYTES, Context
from .targets import is_repeatable, judge

log = structlog.get_logger(__name__)

LONGEST_S = 60.0
POLICY = Policy(
    timeout_s=LONGEST_S,  # a message has a deadline of its own, which is nearer
    bulkhead=Bulkhead(concurrent=1024, queue=1024, queue_s=1.0),
    retry=Retry(tries=3),
)
REACH_S = 3.0
"""How long messages wait for an EntryPoint that is not there, because it starts again, say."""
_OPTIONS = (
    # Each EntryPoint gets its share; the others go on when one is gone.
    ("grpc.service_config", '{"loadBalancingConfig": [{"round_robin": {}}]}'),
    *CONNECTING,
    # One that is replaced has another address: by itself gRPC looks the name up twice a minute at most.
    ("grpc.dns_min_time_between_resolutions_ms", 500),
    ("grpc.max_receive_message_length", MAX_BYTES),
)
_REASONS = {reason.value: reason for reason in Reason}


class _Line(NamedTuple):
    """A connection, and the version of the certificate that it shows; 0 for none."""

    version: int
    channel: grpc.aio.Channel
    stub: dispatch_pb2_grpc.EntryPointServiceAsyncStub


class RemoteExchange:
    """The Exchange of an EntryPoint elsewhere: `target` is a gRPC target, `clock` tells Unix time. Used in one event
    loop.
    """

    def __init__(self, target: str, tls: NodeTls | None = None, clock: Callable[[], float] = time.time) -> None:
        self._target = target
        self._tls = None if target.startswith("unix:") else tls
        self._clock = clock
        self._line: _Line | None = None
        self._retired: set[asyncio.Task[None]] = set()
        self._hop = Hop(f"messages to {target}", POLICY, judge_exchange)

    def __iter__(self) -> Iterator[Hop]:
        """Yields its hop."""
        yield self._hop

    async def close(self) -> None:
        """Ends the connection."""
        line, self._line = self._line, None
        if line is not None:
            await line.channel.close()
        for closing in self._retired:
            closing.cancel()

    def _to(self) -> _Line:
        """The connection; a new one when the certificate is, beside what is under way on the old one."""
        line, version = self._line, 0 if self._tls is None else self._tls.version
        if line is None or line.version != version:
            if line is not None:
                closing = asyncio.ensure_future(line.channel.close(LONGEST_S))
                self._retired.add(closing)
                closing.add_done_callback(self._retired.discard)
            if self._tls is None:
                channel = grpc.aio.insecure_channel(self._target, options=_OPTIONS)
            else:
                channel = grpc.aio.secure_channel(self._target, self._tls.channel(), options=_OPTIONS)
            line = self._line = _Line(version, channel, dispatch_pb2_grpc.EntryPointServiceStub(channel))
        return line

    async def exchange(self, envelope: envelope_pb2.Envelope) -> Answered | Failed:
        """See the port. What changes something and has no idempotency key is not sent twice if it may have arrived."""
        request = dispatch_pb2.ExchangeRequest(envelope=envelope)
        deadline = self._deadline(envelope)

        async def once(attempt: Try) -> dispatch_pb2.ExchangeResponse:
            return await self._to().stub.Exchange(request, timeout=attempt.left_s())

        try:
            await self._reach(deadline)
            response = await self._hop.call(once, deadline=deadline, repeatable=is_repeatable(envelope.header))
        except HopError as error:
            return self._unanswered(envelope, error, reason_of(error))
        except (TimeoutError, grpc.aio.AioRpcError) as error:
            return self._unanswered(envelope, error)
        return unpack(response)

    async def listen(self, envelope: envelope_pb2.Envelope) -> AsyncIterator[envelope_pb2.Envelope] | Failed:
        """See the port. The events end with the connection, as they end with the process of an EntryPoint at hand."""
        deadline = self._deadline(envelope)
        call: Any = None
        try:
            line = await self._reach(deadline)
            call = cast("Any", line.stub).Listen(dispatch_pb2.ListenRequest(envelope=envelope))
            async with asyncio.timeout_at(deadline):
                first: object = await call.read()
        except (TimeoutError, grpc.aio.AioRpcError) as error:
            first = error
        if not isinstance(first, dispatch_pb2.ListenResponse):
            if call is not None:
                call.cancel()
            ended = first if isinstance(first, Exception) else EOFError("the events have ended before they began")
            return self._unanswered(envelope, ended)
        if first.HasField("refused"):
            call.cancel()
            refused = unpack(first.refused)
            assert isinstance(refused, Failed)  # noqa: S101 - nothing is answered there
            return refused
        return Heard(call)

    async def _reach(self, deadline: float) -> _Line:
        """Returns the connection once it is there. Raises TimeoutError when it does not come, and nothing has been
        sent.
        """
        patience = asyncio.get_running_loop().time() + REACH_S
        try:
            async with asyncio.timeout_at(min(deadline, patience)):
                line = self._to()
                while not await _is_there(line):
                    if self._line in (line, None):
                        raise TimeoutError  # it was closed for good
                    line = self._to()
        except TimeoutError as error:
            raise TimeoutError("no connection in time") from error
        return line

    def _unanswered(
        self, envelope: envelope_pb2.Envelope, error: Exception, reason: Reason = Reason.UNREACHABLE
    ) -> Failed:
        CAUSES.tell(self._hop.name, error)
        return Failed(make_error(envelope, reason))

    def _deadline(self, envelope: envelope_pb2.Envelope) -> float:
        """Returns the message's deadline as the event loop's time."""
        left_s = LONGEST_S
        if envelope.header.HasField("deadline"):
            left_s = envelope.header.deadline.ToNanoseconds() / 1e9 - self._clock()
        return asyncio.get_running_loop().time() + left_s


class Heard(AsyncIterator[envelope_pb2.Envelope]):
    """Events as they come, until `aclose`, or until EntryPoint ends them."""

    def __init__(self, call: Any) -> None:  # noqa: ANN401 - a call of gRPC, which has no one type
        self._call = call
        self._closed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> envelope_pb2.Envelope:
        try:
            said = await self._call.read()
        except grpc.aio.AioRpcError as error:
            log.warning("events ended", why=f"{error.code().name}: {error.details()}")
            raise StopAsyncIteration from error
        except asyncio.CancelledError:
            if self._closed:
                raise StopAsyncIteration from None
            raise
        if not isinstance(said, dispatch_pb2.ListenResponse):  # EOF
            raise StopAsyncIteration
        return said.event

    async def aclose(self) -> None:
        """Ends it; may be called again."""
        self._closed = True
        self._call.cancel()


def judge_exchange(error: Exception) -> Meaning:
    """Returns what a failed call means. One that found EntryPoint there may have arrived, whatever became of it."""
    meaning = judge(error)
    return Meaning.FAILED if meaning is Meaning.AGAIN else meaning


async def _is_there(line: _Line) -> bool:
    """Waits for the connection; false when it was given up meanwhile for one with a newer certificate."""
    try:
        if line.channel.get_state(try_to_connect=True) is not grpc.ChannelConnectivity.READY:
            await line.channel.channel_ready()
    except grpc.aio.UsageError:
        return False
    return True


class ExchangeServer(dispatch_pb2_grpc.EntryPointServiceServicer):
    """Takes messages of adapters elsewhere; `admit` ends calls of those who may not hand them in.

    Served at the internal address: where clients' calls come in, one of them could be named like this service.
    """

    def __init__(self, stages: message.Exchange, admit: Callable[[Context], Awaitable[None]]) -> None:
        self._stages = stages
        self._admit = admit
        self._heard: set[AsyncIterator[envelope_pb2.Envelope]] = set()
        self._closing: set[asyncio.Future[None]] = set()

    def end_events(self) -> None:
        """Whoever listens must do so elsewhere; messages under way go on."""
        for heard in list(self._heard):
            self._let_go(heard)

    async def Exchange(  # noqa: N802 - the .proto names it
        self,
        request: dispatch_pb2.ExchangeRequest,
        context: Context,
    ) -> dispatch_pb2.ExchangeResponse:
        """One message, and its answer."""
        await self._admit(context)
        return pack(await self._stages.exchange(request.envelope))

    async def Listen(  # noqa: N802 - the .proto names it
        self,
        request: dispatch_pb2.ListenRequest,
        context: Any,  # noqa: ANN401 - the stubs have no callback that a function could be
    ) -> AsyncIterator[dispatch_pb2.ListenResponse]:
        """Events, until whoever listens has enough of them."""
        await self._admit(context)
        heard = await self._stages.listen(request.envelope)
        if isinstance(heard, Failed):
            yield dispatch_pb2.ListenResponse(refused=pack(heard))
            return
        # Not in a finally of this generator: one that a dying client leaves at its yield ends when it is collected.
        context.add_done_callback(lambda _: self._let_go(heard))
        self._heard.add(heard)
        yield dispatch_pb2.ListenResponse(listening=dispatch_pb2.Listening())
        async for event in heard:
            yield dispatch_pb2.ListenResponse(event=event)

    def _let_go(self, heard: AsyncIterator[envelope_pb2.Envelope]) -> None:
        self._heard.discard(heard)
        close = getattr(heard, "aclose", None)
        if close is not None:
            closing = asyncio.ensure_future(close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)


def pack(outcome: Answered | Failed) -> dispatch_pb2.ExchangeResponse:
    """Returns what became of a message, on the wire."""
    if isinstance(outcome, Answered):
        return dispatch_pb2.ExchangeResponse(reply=outcome.reply, headers=_fields(outcome.headers))
    no = outcome.refusal
    return dispatch_pb2.ExchangeResponse(
        error=outcome.error,
        headers=_fields(outcome.headers),
        refusal=None
        if no is None
        else dispatch_pb2.Refusal(
            reason=no.reason.value, detail=no.detail, object=no.object, field=no.field, headers=_fields(no.headers)
        ),
    )


def unpack(response: dispatch_pb2.ExchangeResponse) -> Answered | Failed:
    """Returns what `pack` was given. A reason that is not known here is left out."""
    headers = _pairs(response.headers)
    if response.HasField("reply"):
        return Answered(response.reply, headers)
    no = response.refusal
    reason = _REASONS.get(no.reason) if response.HasField("refusal") else None
    if reason is None:
        return Failed(response.error, headers=headers)
    refusal = Refusal(reason=reason, detail=no.detail, object=no.object, field=no.field, headers=_pairs(no.headers))
    return Failed(response.error, refusal, headers)


def _fields(pairs: Pairs) -> list[envelope_pb2.Field]:
    return [envelope_pb2.Field(name=name, value=value) for name, value in pairs]


def _pairs(fields: Iterable[envelope_pb2.Field]) -> Pairs:
    return tuple((each.name, each.value) for each in fields)
