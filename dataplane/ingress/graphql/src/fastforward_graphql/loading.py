"""Values of fields: each a message, the same one once, several at a time.

In: a field's Binding, arguments and the object that it belongs to. Out: a future of its value; a GraphQLError in the
words of errors when there is none. Called by graphql-core through `resolve_bound`, within one request.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from fastforward_pipeline.message import Answered, Exchange, Failed, Intake, Operation, derive_key, is_json
from fastforward_pipeline.reason import Reason
from graphql import GraphQLError, GraphQLResolveInfo

from fastforward.message.v1 import envelope_pb2

from .binding import Batch, Binding
from .errors import error_of, refusal
from .target import ValueUnfitError, fill_path, find_value, write_body, write_query

AT_A_TIME = 16
"""Messages of one request under way; the others wait."""
BATCHED = 100
"""Keys in one request."""
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Way:
    """How messages are sent. `clock` tells Unix time, `make_id` makes the id of a message."""

    exchange: Exchange
    clock: Callable[[], float]
    make_id: Callable[[], str]


class Loader:
    """The messages of one request. GETs with one target are one message until something may have changed."""

    def __init__(self, way: Way, intake: Intake, once: str = "") -> None:
        """`once` is the request's idempotency key, empty without one."""
        self._way = way
        self._intake = intake
        self._once = once
        self._sending = asyncio.Semaphore(AT_A_TIME)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._read: dict[str | tuple[str, str, str], asyncio.Future[Any]] = {}
        """By target, and by path, parameter and key of what is read several at a time."""
        self._keys: dict[tuple[str, str], dict[str, asyncio.Future[Any]]] = {}

    def load(
        self, binding: Binding, source: object, info: GraphQLResolveInfo, arguments: Mapping[str, Any]
    ) -> asyncio.Future[Any]:
        """Returns the value that a field will have. Raises GraphQLError for arguments that make no path."""
        try:
            if binding.batch is not None and set(arguments) <= binding.in_path:
                return self._load_key(binding.batch, find_value(binding.batch.name, source, arguments))
            path = fill_path(binding, source, arguments)
        except ValueUnfitError as error:
            raise unfit(error) from error
        if binding.method == "GET":
            return self._load_once(path + write_query(binding, arguments))
        self.forget()
        return asyncio.shield(self._start(self._send(self._operation(binding, path, info, arguments))))

    async def listen(
        self, binding: Binding, info: GraphQLResolveInfo, arguments: Mapping[str, Any]
    ) -> AsyncIterator[Any]:
        """Returns the contents of events. Raises GraphQLError for whoever may not listen."""
        try:
            path = fill_path(binding, None, arguments)
        except ValueUnfitError as error:
            raise unfit(error) from error
        operation = self._operation(binding, path, info, arguments)
        heard = await self._way.exchange.listen(self._message(operation))
        if isinstance(heard, Failed):
            raise error_of(heard.error)
        return self._contents(heard)

    async def _contents(self, heard: AsyncIterator[envelope_pb2.Envelope]) -> AsyncIterator[Any]:
        try:
            async for event in heard:
                # What was read for the last event may have changed by what this one tells of.
                self.forget()
                yield _content(event)
        finally:
            close = getattr(heard, "aclose", None)
            if close is not None:
                await close()

    def forget(self) -> None:
        """What is read from now on is read anew."""
        self._read.clear()
        self._keys.clear()

    def close(self) -> None:
        """Ends what nobody waits for any more."""
        for task in self._tasks:
            task.cancel()

    def _operation(
        self, binding: Binding, path: str, info: GraphQLResolveInfo, arguments: Mapping[str, Any]
    ) -> Operation:
        if binding.in_query:
            target, body = path + write_query(binding, arguments), b""
        else:
            target, body = path, write_body(binding, arguments)
        key = "" if binding.method == "GET" else self._key(info)
        media_type = _JSON if body else ""
        return Operation(method=binding.method, target=target, body=body, media_type=media_type, idempotency_key=key)

    def _key(self, info: GraphQLResolveInfo) -> str:
        """The request's own key for its only field, so that it is the same over all protocols; else one for each."""
        if not self._once:
            return ""
        path = info.path.as_list()
        alone = len(path) == 1 and len(info.operation.selection_set.selections) == 1
        return self._once if alone else derive_key(self._once, "/".join(map(str, path)))

    def _load_once(self, target: str) -> asyncio.Future[Any]:
        found = self._read.get(target)
        if found is None:
            found = self._read[target] = self._start(self._send(Operation(method="GET", target=target)))
        # Whoever stops waiting must not end it for the others.
        return asyncio.shield(found)

    def _load_key(self, batch: Batch, key: str) -> asyncio.Future[Any]:
        if "," in key:
            raise unfit(ValueUnfitError(batch.name))
        same = (batch.path, batch.parameter, key)
        found = self._read.get(same)
        if found is None:
            found = self._read[same] = asyncio.get_running_loop().create_future()
            # An error that nobody waits for any more is no news.
            found.add_done_callback(lambda future: future.cancelled() or future.exception())
            waiting = self._keys.setdefault((batch.path, batch.parameter), {})
            waiting[key] = found
            if len(waiting) == 1:
                # Fields beside this one are asked for before the loop comes to this.
                asyncio.get_running_loop().call_soon(self._load_keys, batch, waiting)
        return asyncio.shield(found)

    def _load_keys(self, batch: Batch, waiting: dict[str, asyncio.Future[Any]]) -> None:
        self._keys.pop((batch.path, batch.parameter), None)
        keys = list(waiting)
        for first in range(0, len(keys), BATCHED):
            self._start(self._fill(batch, {key: waiting[key] for key in keys[first : first + BATCHED]}))

    async def _fill(self, batch: Batch, waiting: Mapping[str, asyncio.Future[Any]]) -> None:
        listed = ",".join(quote(key, safe="") for key in waiting)
        target = f"{batch.path}?{quote(batch.parameter, safe='')}={listed}"
        try:
            elements = await self._send(Operation(method="GET", target=target))
        except GraphQLError as error:
            for future in waiting.values():
                _settle(future, error)
            return
        if not isinstance(elements, list):
            elements = []
        found = {str(each.get(batch.key)): each for each in elements if isinstance(each, dict)}
        for key, future in waiting.items():
            _settle(future, found.get(key))

    def _start(self, sending: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.ensure_future(sending)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whether anybody still waits for it or not

    async def _send(self, operation: Operation) -> object:
        async with self._sending:
            outcome = await self._way.exchange.exchange(self._message(operation))
        if isinstance(outcome, Failed):
            raise error_of(outcome.error)
        return _value(outcome)

    def _message(self, operation: Operation) -> envelope_pb2.Envelope:
        return self._intake.found(operation, message_id=self._way.make_id(), now=self._way.clock())


def _settle(future: asyncio.Future[Any], outcome: object) -> None:
    if future.done():
        return
    if isinstance(outcome, GraphQLError):
        # One error is located in one field.
        future.set_exception(GraphQLError(outcome.message, extensions=outcome.extensions))
    else:
        future.set_result(outcome)


def _value(answered: Answered) -> object:
    return _content(answered.reply)


def _content(message: envelope_pb2.Envelope) -> object:
    """The content of a reply or an event; stage 4 has seen to it that JSON is JSON."""
    payload = message.payload
    if not payload.body:
        return None
    if not is_json(payload.media_type):
        raise refusal(Reason.REPLY_MALFORMED)
    return json.loads(payload.body)


def unfit(error: ValueUnfitError) -> GraphQLError:
    """Returns what a client is told of a value that is no part of a path."""
    return refusal(Reason.QUERY_INVALID, f"The value of {error.name} can't be part of a path")


def resolve_bound(binding: Binding) -> Callable[..., Any]:
    """Returns the resolver of a bound field."""

    def resolve(source: object, info: GraphQLResolveInfo, **arguments: object) -> asyncio.Future[Any]:
        return info.context.load(binding, source, info, arguments)

    return resolve


def subscribe_bound(binding: Binding) -> Callable[..., Any]:
    """Returns the source of events of a bound field of Subscription."""

    async def subscribe(_: object, info: GraphQLResolveInfo, **arguments: object) -> AsyncIterator[Any]:
        return await info.context.listen(binding, info, arguments)

    return subscribe


def resolve_event(source: object, _: GraphQLResolveInfo, **__: object) -> object:
    """An event's content is the value of the field."""
    return source
