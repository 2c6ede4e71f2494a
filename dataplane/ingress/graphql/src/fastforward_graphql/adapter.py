"""The adapter: one request, its operations, a message for each field that is bound, one answer.

In: requests that Envoy hands on, whose `x-ff-...` headers are Envoy's own. Out: answers. Called by the HTTP server of
EntryPoint, in whose process the adapter runs.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from functools import partial

from fastforward_kit.http import Request, Response, StreamedResponse
from fastforward_kit.websocket import ClosedError, WebSocket, accept
from fastforward_pipeline.message import Exchange, Intake
from fastforward_pipeline.reason import FACTS, Reason
from graphql import OperationType

from fastforward.message.v1 import envelope_pb2
from fastforward.snapshot.v1 import snapshot_pb2

from .answer import make_answer, make_batch, make_failure, make_refusal
from .errors import describe, refusal
from .events import write_events
from .execution import Asked, Ready, RefusedError, Result, listen, prepare, run
from .limits import judge_batch
from .loading import Loader, Way
from .request import EVENTS, BadRequestError, Call, read_request
from .schema import Compiled, FindSchema, Schemas
from .socket import SUBPROTOCOL, Session

_EVENT_HEADERS = (("content-type", EVENTS), ("cache-control", "no-store"))
_UNAVAILABLE = 1011


class GraphqlAdapter:
    """`clock` tells Unix time, `make_id` makes the id of a message, `find` knows the Schemas."""

    def __init__(
        self, exchange: Exchange, find: FindSchema, clock: Callable[[], float], make_id: Callable[[], str]
    ) -> None:
        self._way = Way(exchange, clock, make_id)
        self._schemas = Schemas(find)

    def __call__(self, asked: Request, dispatch: snapshot_pb2.AdapterDispatch) -> Response | asyncio.Future[Response]:
        """Answers one request, in time of its own; a connection is served until it ends."""
        if asked.header("upgrade").lower() == "websocket":
            return accept(asked, [SUBPROTOCOL], partial(self._converse, asked, dispatch))
        try:
            call = read_request(asked)
        except BadRequestError as error:
            return make_refusal(error)
        return asyncio.ensure_future(self._answer(asked, call, dispatch))

    async def _answer(self, asked: Request, call: Call, dispatch: snapshot_pb2.AdapterDispatch) -> Response:
        compiled = await self._schemas.get(dispatch.schema.schema, dispatch.schema.version)
        if compiled is None:
            return make_failure(Reason.UNAVAILABLE)
        intake = _intake(asked, dispatch)
        once = asked.header("idempotency-key")
        if call.media_type == EVENTS:
            results = self.stream(call.asked[0], compiled, dispatch, Loader(self._way, intake, once), safe=call.safe)
            return StreamedResponse(200, _EVENT_HEADERS, parts=write_events(results))
        if call.batched:
            return await self._answer_batch(intake, call, compiled, dispatch, once)
        try:
            ready = await prepare(call.asked[0], compiled, dispatch.graphql)
        except RefusedError as error:
            return make_answer(error.result, call.media_type)
        if call.safe and ready.kind is not OperationType.QUERY:
            return make_refusal(BadRequestError(405, "By GET only queries are executed", ("allow", "POST")))
        return make_answer(await self._run(ready, compiled, Loader(self._way, intake, once)), call.media_type)

    async def _answer_batch(
        self, intake: Intake, call: Call, compiled: Compiled, dispatch: snapshot_pb2.AdapterDispatch, once: str
    ) -> Response:
        """One after the other: a later operation sees what an earlier one has done."""
        above = judge_batch(len(call.asked), dispatch.graphql)
        if above is not None:
            return make_answer(Result({"errors": [describe(above)]}, 400, began=False), call.media_type)
        results: list[Result] = []
        for place, each in enumerate(call.asked):
            key = f"{once}/{place}" if once else ""
            results.append(await self._run_asked(each, compiled, dispatch, Loader(self._way, intake, key)))
        return make_batch(results, call.media_type)

    async def _run_asked(
        self, asked: Asked, compiled: Compiled, dispatch: snapshot_pb2.AdapterDispatch, loader: Loader
    ) -> Result:
        try:
            ready = await prepare(asked, compiled, dispatch.graphql)
        except RefusedError as error:
            return error.result
        return await self._run(ready, compiled, loader)

    async def _converse(self, asked: Request, dispatch: snapshot_pb2.AdapterDispatch, frames: WebSocket) -> None:
        """Serves one connection; its operations are executed by the Schema of its beginning."""
        compiled = await self._schemas.get(dispatch.schema.schema, dispatch.schema.version)
        if compiled is None:
            await frames.close(_UNAVAILABLE, FACTS[Reason.UNAVAILABLE].title)
            return
        intake = _intake(asked, dispatch)

        def execute(operation: Asked, /, *, subscribes: Callable[[], object]) -> AsyncGenerator[Result]:
            return self.stream(operation, compiled, dispatch, Loader(self._way, intake), subscribes=subscribes)

        with contextlib.suppress(ClosedError):
            await Session(frames, execute).serve()

    async def stream(
        self,
        asked: Asked,
        compiled: Compiled,
        dispatch: snapshot_pb2.AdapterDispatch,
        loader: Loader,
        *,
        safe: bool = False,
        subscribes: Callable[[], object] = lambda: None,
    ) -> AsyncGenerator[Result]:
        """Yields the results of any operation: one, or for a subscription one for each event. `safe`: only reads.

        `subscribes` is called before a subscription begins.
        """
        try:
            ready = await prepare(asked, compiled, dispatch.graphql)
        except RefusedError as error:
            yield error.result
            return
        if safe and ready.kind is OperationType.MUTATION:
            detail = "By GET nothing is changed"
            yield Result({"errors": [describe(refusal(Reason.QUERY_INVALID, detail))]}, 405, began=False)
            return
        if ready.kind is not OperationType.SUBSCRIPTION:
            yield await run(ready, compiled, loader)
            return
        subscribes()
        begun = await listen(ready, compiled, loader)
        if isinstance(begun, Result):
            yield begun
            return
        async with contextlib.aclosing(begun):
            async for result in begun:
                yield result

    async def _run(self, ready: Ready, compiled: Compiled, loader: Loader) -> Result:
        if ready.kind is OperationType.SUBSCRIPTION:
            detail = "A subscription has no answer over this connection"
            return Result({"errors": [describe(refusal(Reason.QUERY_INVALID, detail))]}, 400, began=False)
        return await run(ready, compiled, loader)


def _intake(asked: Request, dispatch: snapshot_pb2.AdapterDispatch) -> Intake:
    host = dispatch.host or asked.header("host")
    return Intake(protocol=envelope_pb2.PROTOCOL_GRAPHQL, headers=asked.headers, host=host)
