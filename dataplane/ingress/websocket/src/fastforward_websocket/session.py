"""One connection: many operations at once, each a message; events for as long as they are wanted.

In: a WebSocket. Out: messages on their way, frames back. Called by the adapter for each connection.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine

from fastforward_kit.websocket import ClosedError, WebSocket
from fastforward_pipeline.message import Exchange, Failed, Intake, Operation, why_ended
from fastforward_pipeline.reason import Reason

from fastforward.message.v1 import envelope_pb2

from .frames import (
    Ask,
    FrameError,
    Listen,
    Stop,
    read_frame,
    write_answer,
    write_begun,
    write_end,
    write_error,
    write_event,
    write_refusal,
)
from .port import Connected

UNDER_WAY = 32
"""Operations at once; more are not even read."""
LISTENING = 32
"""Kinds of events at once; more are refused."""
MALFORMED = 3
"""Texts in a row that are no frames, until the connection is closed."""
_GARBAGE, _NOT_TEXT = 1008, 1003


class Session:
    """`message` makes the message of an operation."""

    def __init__(
        self,
        socket: WebSocket,
        about: Connected,
        exchange: Exchange,
        intake: Intake,
        message: Callable[[Intake, Operation], envelope_pb2.Envelope],
    ) -> None:
        self.about = about
        self._socket = socket
        self._exchange = exchange
        self._intake = intake
        self._message = message
        self._room = asyncio.Semaphore(UNDER_WAY)
        self._asked: dict[str, asyncio.Task[None]] = {}
        self._listening: dict[str, asyncio.Task[None]] = {}
        self._malformed = 0

    def push(self, frame: str) -> bool:
        """Sends a frame without waiting; whether the connection was still there."""
        try:
            self._socket.post(frame)
        except ClosedError:
            return False
        return True

    def close(self, code: int, reason: str) -> None:
        """Ends it."""
        self._socket.end(code, reason)

    async def serve(self) -> None:
        """Serves until either side ends it. What is under way then is finished: nobody can take it back."""
        try:
            while True:
                await self._take(await self._socket.receive())
        finally:
            for task in self._listening.values():
                task.cancel()
            running = [*self._asked.values(), *self._listening.values()]
            await asyncio.gather(*running, return_exceptions=True)

    async def _take(self, text: str | bytes) -> None:
        if isinstance(text, bytes):
            await self._socket.close(_NOT_TEXT, "frames are text")
            return
        try:
            frame = read_frame(text, self._intake.headers)
        except FrameError as error:
            await self._refuse_malformed(error)
            return
        self._malformed = 0
        match frame:
            case Ask(id=id_) | Listen(id=id_) if id_ in self._asked or id_ in self._listening:
                await self._send(write_refusal(id_, Reason.CONTENT_MALFORMED, "The id is in use"))
            case Ask(id=id_, operation=operation):
                await self._room.acquire()
                self._start(self._asked, id_, self._ask(id_, operation))
            case Listen(id=id_, operation=operation):
                if len(self._listening) >= LISTENING:
                    await self._send(write_refusal(id_, Reason.OVERLOADED, "This connection listens to too much"))
                else:
                    self._start(self._listening, id_, self._listen(id_, operation))
            case Stop(id=id_):
                await self._stop(id_)

    def _start(self, tasks: dict[str, asyncio.Task[None]], id_: str, work: Coroutine[None, None, None]) -> None:
        tasks[id_] = asyncio.ensure_future(work)
        tasks[id_].add_done_callback(lambda _: tasks.pop(id_, None))

    async def _refuse_malformed(self, error: FrameError) -> None:
        self._malformed += 1
        await self._send(write_refusal(error.id, Reason.CONTENT_MALFORMED, error.detail))
        if self._malformed >= MALFORMED:
            await self._socket.close(_GARBAGE, "too much that is no frame")

    async def _ask(self, id_: str, operation: Operation) -> None:
        try:
            outcome = await self._exchange.exchange(self._message(self._intake, operation))
            frame = write_error(id_, outcome) if isinstance(outcome, Failed) else write_answer(id_, outcome)
            # The id is free as soon as the client can know that it is answered.
            self._asked.pop(id_, None)
            await self._send(frame)
        finally:
            self._room.release()

    async def _listen(self, id_: str, operation: Operation) -> None:
        events = await self._exchange.listen(self._message(self._intake, operation))
        if isinstance(events, Failed):
            await self._send(write_error(id_, events))
            return
        try:
            await self._send(write_begun(id_))
            async for event in events:
                await self._send(write_event(id_, event))
        finally:
            close = getattr(events, "aclose", None)
            if close is not None:
                await close()
        refused = why_ended(events)
        slow = write_refusal(id_, Reason.OVERLOADED, "Too slow for these events")
        await self._send(slow if refused is None else write_error(id_, refused))

    async def _stop(self, id_: str) -> None:
        task = self._listening.get(id_)
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._send(write_end(id_))

    async def _send(self, frame: str) -> None:
        with contextlib.suppress(ClosedError):  # `receive` says so to `serve`
            await self._socket.send(frame)
