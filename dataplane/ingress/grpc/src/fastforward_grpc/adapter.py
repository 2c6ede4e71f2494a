"""The adapter: which method a call is for, and its messages through the stages by the kind of its streams.

In: calls that Envoy hands on, whose `x-ff-...` metadata are Envoy's own. Out: replies and statuses. Called by the gRPC
server, for every call: which services there are, the rule's Schema says.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
import grpc.aio
import structlog
from fastforward_pipeline.message import ENTRY, LISTENED_TO, Exchange, Failed, Intake, make_error, why_ended
from fastforward_pipeline.reason import Reason

from fastforward.message.v1 import envelope_pb2, error_pb2
from fastforward.snapshot.v1 import snapshot_pb2

from .call import MAX_BYTES, Call, Context
from .schema import FindSchema, Known, Method
from .standard import Standard
from .status import make_status, too_large
from .template import Document

if TYPE_CHECKING:
    Handler = grpc.RpcMethodHandler[Any, Any]
T = TypeVar("T")
log = structlog.get_logger(__name__)

HOST = "x-ff-host"
"""The authority of the call, which gRPC does not tell."""
FindDispatch = Callable[[str], snapshot_pb2.AdapterDispatch | None]
"""What a Plan says of the adapter; None when there is no such Plan, or it has none."""
_TOO_SLOW = error_pb2.Error(
    code=error_pb2.CODE_RESOURCE_EXHAUSTED, reason="dispatch/overloaded", title="The events were not taken in time"
)


class GrpcAdapter(grpc.GenericRpcHandler):
    """`clock` tells Unix time, `make_id` makes the id of a message."""

    def __init__(
        self,
        exchange: Exchange,
        dispatches: FindDispatch,
        schemas: FindSchema,
        *,
        clock: Callable[[], float],
        make_id: Callable[[], str],
    ) -> None:
        self._exchange = exchange
        self._dispatches = dispatches
        self._known = Known(schemas)
        self._clock = clock
        self._make_id = make_id
        self._standard = Standard()

    def leave(self) -> None:
        """Tells whoever watches its health that it ends."""
        self._standard.leaving.set()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler | None:
        """Returns what handles a call; None for a method that the rule's Schema does not have."""
        headers = _headers(handler_call_details.invocation_metadata or ())
        dispatch = self._dispatches(headers.get(ENTRY, ("",))[0])
        if dispatch is None:
            return _refusing(Reason.PLAN_UNKNOWN)
        services = self._known.services(dispatch.schema.schema, dispatch.schema.version)
        if services is None:
            return _refusing(Reason.UNAVAILABLE)
        path = handler_call_details.method
        method = services.methods.get(path)
        if method is None:
            return self._standard.handler(path, services)
        host = dispatch.host or headers.get(HOST, ("",))[0]
        return self._handler(method, Intake(protocol=envelope_pb2.PROTOCOL_GRPC, headers=headers, host=host))

    def _handler(self, method: Method, intake: Intake) -> Handler:
        make, work = {
            (False, False): (grpc.unary_unary_rpc_method_handler, self._one),
            (True, False): (grpc.stream_unary_rpc_method_handler, self._gathered),
            (False, True): (grpc.unary_stream_rpc_method_handler, self._streamed),
            (True, True): (grpc.stream_stream_rpc_method_handler, self._conversed),
        }[method.takes_stream, method.gives_stream]

        async def handle(asked: Any, context: Context) -> bytes | None:  # noqa: ANN401 - bytes, or a stream of them
            call = Call(method=method, intake=intake, context=context, clock=self._clock, make_id=self._make_id)
            return await _guarded(work(call, asked), context)

        return make(handle)

    async def _one(self, call: Call, request: bytes) -> bytes:
        envelope = await call.envelope(await call.read(request))
        [reply] = await call.replies(await self._exchange.exchange(envelope))
        return reply

    async def _gathered(self, call: Call, requests: AsyncIterator[bytes]) -> bytes:
        """All requests are one message, whose content is a list. The first one's fields are the path's."""
        documents: list[Document] = []
        held = 0
        async for request in requests:
            held += len(request)
            if held > MAX_BYTES:
                await call.fail(too_large(""))
            documents.append(await call.read(request))
        envelope = await call.gathered(documents)
        [reply] = await call.replies(await self._exchange.exchange(envelope))
        return reply

    async def _streamed(self, call: Call, request: bytes) -> None:
        """One reply for each element; or, where a rule has nobody who takes its messages, the events of their type."""
        outcome = await self._exchange.exchange(await call.envelope(await call.read(request)))
        if isinstance(outcome, Failed) and outcome.refusal == LISTENED_TO:
            await self._listened(call, await call.envelope(await call.read(request)))
            return
        for reply in await call.replies(outcome):
            await call.context.write(reply)

    async def _listened(self, call: Call, envelope: envelope_pb2.Envelope) -> None:
        events = await self._exchange.listen(envelope)
        if isinstance(events, Failed):
            await call.fail(events)
        try:
            # The client knows that it is heard, and will be told of what happens from now on.
            await call.context.send_initial_metadata(())
            async for event in events:
                for reply in await call.written(event):
                    await call.context.write(reply)
        finally:
            if (close := getattr(events, "aclose", None)) is not None:
                await close()
        await call.fail(why_ended(events) or Failed(_TOO_SLOW))

    async def _conversed(self, call: Call, requests: AsyncIterator[bytes]) -> None:
        """Each request is a message; the next one is read when it has been answered."""
        async for request in requests:
            envelope = await call.envelope(await call.read(request))
            for reply in await call.replies(await self._exchange.exchange(envelope)):
                await call.context.write(reply)


def _headers(metadata: Sequence[tuple[str, str | bytes]]) -> dict[str, tuple[str, ...]]:
    """Returns the call's metadata as headers. Those in binary, and gRPC's own, are none."""
    headers: dict[str, tuple[str, ...]] = {}
    for name, value in metadata:
        if isinstance(value, str) and not name.startswith("grpc-"):
            headers[name] = (*headers.get(name, ()), value)
    return headers


async def _guarded(work: Awaitable[T], context: Context) -> T:
    """Ends the call when what handles it is broken, and tells the client no more than that."""
    try:
        return await work
    except grpc.aio.AbortError:
        raise
    except Exception:  # one call must not end the others
        log.exception("call failed")
        with contextlib.suppress(grpc.aio.UsageError):
            await context.abort(grpc.StatusCode.INTERNAL, "The gateway failed to handle the call")
        raise


def _refusing(reason: Reason) -> Handler:
    """Returns what refuses a call of any kind."""

    async def refuse(_: AsyncIterator[bytes], context: Context) -> None:
        status = make_status(Failed(make_error(envelope_pb2.Envelope(), reason)), str)
        await context.abort(status.code, status.title, status.metadata)

    return grpc.stream_stream_rpc_method_handler(refuse)
