"""Operations over a WebSocket: the sub-protocol graphql-transport-ws
(https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md).

In: frames, and how operations are executed. Out: frames; close codes as the protocol says. Called by the adapter for
each connection. Several operations run at once, each in a task of its own; a client that does not take its frames in
holds up its own operations and no others.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from typing import Any, Protocol

from fastforward_kit.text import is_text

from .answer import write
from .execution import Asked, Result
from .request import BadRequestError, read_parameters

SUBPROTOCOL = "graphql-transport-ws"
INITIALISED_S = 10.0
OPERATIONS = 32
"""Of one connection at once."""
_INVALID, _UNAUTHORIZED, _LATE, _DOUBLE, _MANY, _FULL = 4400, 4401, 4408, 4409, 4429, 4429


class Frames(Protocol):
    """A WebSocket, as far as it is needed here."""

    async def receive(self) -> str | bytes:
        """Returns what comes next. Raises an exception once it is closed."""
        ...

    async def send(self, frame: str | bytes, /) -> None:
        """Returns when there is room for more."""
        ...

    async def close(self, code: int, reason: str, /) -> None:
        """Ends it."""
        ...


class Execute(Protocol):
    """Executes an operation: its results as they come."""

    def __call__(self, asked: Asked, /, *, subscribes: Callable[[], object]) -> AsyncGenerator[Result]:
        """`subscribes` is called when the operation turns out to be a subscription, before it begins."""
        ...


class _ProtocolError(Exception):
    """What the protocol does not allow: the connection is closed with `code`."""

    def __init__(self, code: int, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class Session:
    """One connection, from its handshake to its end."""

    def __init__(self, frames: Frames, execute: Execute) -> None:
        self._frames = frames
        self._execute = execute
        self._acknowledged = False
        self._running: dict[str, asyncio.Task[None]] = {}
        self._listening: set[asyncio.Task[None]] = set()
        """Those of them that are subscriptions."""
        self._ended = False

    async def serve(self, *, initialised_s: float = INITIALISED_S) -> None:
        """Serves until either side ends it; whatever is thrown when the socket closes goes on to the caller.

        Queries and mutations under way then are finished: nobody can take back what a mutation does.
        """
        try:
            try:
                async with asyncio.timeout(initialised_s):
                    while not self._acknowledged:  # pings may come before
                        await self._take(await self._frames.receive())
            except TimeoutError:
                raise _ProtocolError(_LATE, "Connection initialisation timeout") from None
            while True:
                await self._take(await self._frames.receive())
        except _ProtocolError as error:
            await self._frames.close(error.code, error.detail)
        finally:
            self._ended = True
            for task in self._listening:
                task.cancel()
            await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _take(self, frame: str | bytes) -> None:
        message = _read(frame)
        match message["type"]:
            case "connection_init":
                if self._acknowledged:
                    raise _ProtocolError(_MANY, "Too many initialisation requests")
                self._acknowledged = True
                await self._send({"type": "connection_ack"})
            case "ping":
                await self._send({"type": "pong"})
            case "pong":
                pass
            case "subscribe":
                self._subscribe(_id(message), message.get("payload"))
            case "complete":
                task = self._running.pop(_id(message), None)
                if task is not None:
                    task.cancel()
            case _:
                raise _ProtocolError(_INVALID, "Invalid message")

    def _subscribe(self, id_: str, payload: object) -> None:
        if not self._acknowledged:
            raise _ProtocolError(_UNAUTHORIZED, "Unauthorized")
        if id_ in self._running:
            raise _ProtocolError(_DOUBLE, f"Subscriber for {id_[:50]} already exists")
        if len(self._running) >= OPERATIONS:
            raise _ProtocolError(_FULL, "Too many operations")
        try:
            asked = read_parameters(payload)
        except BadRequestError as error:
            raise _ProtocolError(_INVALID, error.detail) from error
        task = asyncio.ensure_future(self._run(id_, asked))
        self._running[id_] = task
        task.add_done_callback(self._listening.discard)

    def _subscribes(self) -> None:
        """The operation of this task may last for as long as the connection, and no longer."""
        if self._ended:
            raise asyncio.CancelledError
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # each has one of its own
        self._listening.add(task)

    async def _run(self, id_: str, asked: Asked) -> None:
        results = self._execute(asked, subscribes=self._subscribes)
        try:
            async for result in results:
                if not result.began:
                    await self._send({"id": id_, "type": "error", "payload": result.body["errors"]})
                    return
                await self._send({"id": id_, "type": "next", "payload": result.body})
            await self._send({"id": id_, "type": "complete"})
        finally:
            await results.aclose()
            if self._running.get(id_) is asyncio.current_task():
                del self._running[id_]

    async def _send(self, message: dict[str, Any]) -> None:
        await self._frames.send(write(message).decode())


def _read(frame: str | bytes) -> dict[str, Any]:
    try:
        message = json.loads(frame) if isinstance(frame, str) else None
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise _ProtocolError(_INVALID, "Invalid message")
    return message


def _id(message: dict[str, Any]) -> str:
    found = message.get("id")
    if not isinstance(found, str) or not found or not is_text(found):
        raise _ProtocolError(_INVALID, "Invalid message")
    return found
