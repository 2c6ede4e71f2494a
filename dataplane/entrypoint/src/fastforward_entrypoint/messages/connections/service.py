"""ConnectionService: workloads reach clients that have connected, whichever process holds their connections.

In: calls of fastforward.connection.v1. Out: frames to clients, connections closed; how many. Served at the internal
address, by bootstrap.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import grpc
import grpc.aio
from fastforward_kit.validation import fault_of
from fastforward_pipeline.message import is_json
from fastforward_websocket import write_push

from fastforward.connection.v1 import connection_pb2, connection_pb2_grpc
from fastforward.message.v1 import envelope_pb2

from .port import Done, Elsewhere, Registry, Whose
from .written import read_whose, write_connected

LIST = 1000
_JSON = "application/json"
_ELSEWHERE = {
    Elsewhere.ANSWERED: connection_pb2.ELSEWHERE_ANSWERED,
    Elsewhere.LATE: connection_pb2.ELSEWHERE_LATE,
    Elsewhere.UNREACHABLE: connection_pb2.ELSEWHERE_UNREACHABLE,
}
_ONE = "id"
Context = grpc.aio.ServicerContext[Any, Any]


class InvalidError(ValueError):
    """The call makes no sense; the text says why."""


class ConnectionServer(connection_pb2_grpc.ConnectionServiceServicer):
    """`admit` ends calls of those who may not; `make_id` makes the id of a push."""

    def __init__(
        self, registry: Registry, make_id: Callable[[], str], admit: Callable[[Context], Awaitable[None]]
    ) -> None:
        self._registry = registry
        self._make_id = make_id
        self._admit = admit

    async def List(  # noqa: N802 - the .proto names it
        self, request: connection_pb2.ListRequest, context: Context
    ) -> connection_pb2.ListResponse:
        """Who is connected."""
        await self._admit(context)
        await _keeps_rules(request, context)
        whose = read_whose(request.whose)
        listed = await self._registry.list(whose, min(request.limit or LIST, LIST))
        return connection_pb2.ListResponse(
            connections=map(write_connected, listed.connections),
            total=listed.total,
            elsewhere=_ELSEWHERE[listed.elsewhere],
        )

    async def Push(  # noqa: N802 - the .proto names it
        self, request: connection_pb2.PushRequest, context: Context
    ) -> connection_pb2.PushResponse:
        """Something that nobody has asked for."""
        await self._admit(context)
        await _keeps_rules(request, context)
        whose = read_whose(request.to)
        id_ = self._make_id()
        try:
            frame = _frame(id_, request)
        except InvalidError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        done = await self._registry.push(frame, whose)
        await _found(whose, done, context)
        return connection_pb2.PushResponse(id=id_, reached=done.count, elsewhere=_ELSEWHERE[done.elsewhere])

    async def Close(  # noqa: N802 - the .proto names it
        self, request: connection_pb2.CloseRequest, context: Context
    ) -> connection_pb2.CloseResponse:
        """The end of connections."""
        await self._admit(context)
        await _keeps_rules(request, context)
        whose = read_whose(request.whose)
        code = request.code or 1000
        done = await self._registry.close(code, request.reason, whose)
        await _found(whose, done, context)
        return connection_pb2.CloseResponse(closed=done.count, elsewhere=_ELSEWHERE[done.elsewhere])


def _frame(id_: str, request: connection_pb2.PushRequest) -> str:
    """Returns the frame of a push. Raises InvalidError."""
    media_type = request.media_type or _JSON
    if request.body and is_json(media_type):
        try:
            json.loads(request.body.decode(), parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            raise InvalidError("The body is no JSON.") from error
    return write_push(id_, request.type, envelope_pb2.Payload(media_type=media_type, body=request.body))


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


async def _keeps_rules(
    request: connection_pb2.ListRequest | connection_pb2.PushRequest | connection_pb2.CloseRequest, context: Context
) -> None:
    """Ends a call that breaks the rules of its .proto: one that does not say whose connections, for example."""
    if fault := fault_of(request):
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, fault)


async def _found(whose: Whose, done: Done, context: Context) -> None:
    """Ends the call when the one connection that was meant has not been found."""
    if whose.id is None or done.count:
        return
    if done.elsewhere is Elsewhere.ANSWERED:
        await context.abort(grpc.StatusCode.NOT_FOUND, "There is no such connection.")
    await context.abort(grpc.StatusCode.UNAVAILABLE, "The process that may hold the connection can't be asked now.")
