"""A workload that takes messages, over real gRPC: it does what the test says, and remembers what it was sent.

In: an answer for each message. Out: its address, and what came. Called by tests of EntryPoint.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
from fastforward_kit.transcription import read, transcribe

from fastforward.message.v1 import dispatch_pb2, dispatch_pb2_grpc, envelope_pb2, json_pb2

from .messages import reply
from .processes import free_port

Context = grpc.aio.ServicerContext[Any, Any]
Handler = Callable[[envelope_pb2.Envelope], Awaitable[dispatch_pb2.HandleResponse]]

_PATIENCE_S = 30.0


async def agree(_: envelope_pb2.Envelope) -> dispatch_pb2.HandleResponse:
    """Answers that all is well."""
    return dispatch_pb2.HandleResponse(reply=reply())


@dataclass
class MessageTarget(dispatch_pb2_grpc.MessageServiceServicer):
    """The workload."""

    handler: Handler = agree
    received: list[envelope_pb2.Envelope] = field(default_factory=list)
    left_s: list[float] = field(default_factory=list)
    metadata: list[dict[str, str]] = field(default_factory=list)
    address: str = ""
    knows_json: bool = True
    garbage: str = ""
    """What is answered instead of JSON, if anything."""
    said: list[json_pb2.Transcribed] = field(default_factory=list)

    async def Handle(  # noqa: N802 - gRPC's name
        self, request: dispatch_pb2.HandleRequest, context: Context
    ) -> dispatch_pb2.HandleResponse:
        """One message."""
        self.received.append(request.envelope)
        self.left_s.append(context.time_remaining() or float("inf"))
        self.metadata.append({name: str(value) for name, value in context.invocation_metadata() or ()})
        return await self.handler(request.envelope)

    async def HandleJson(  # noqa: N802 - gRPC's name
        self, request: dispatch_pb2.HandleJsonRequest, context: Context
    ) -> dispatch_pb2.HandleJsonResponse:
        """The same, where it can."""
        if not self.knows_json:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "no JSON here")
        self.said.append(request.request)
        response = await self.Handle(read(dispatch_pb2.HandleRequest, request.request), context)
        told = json_pb2.Transcribed(json=self.garbage) if self.garbage else transcribe(response)
        return dispatch_pb2.HandleJsonResponse(response=told)


@asynccontextmanager
async def message_target(handler: Handler = agree, port: int = 0) -> AsyncGenerator[MessageTarget]:
    """Runs one on the loopback."""
    target = MessageTarget(handler)
    server = grpc.aio.server()
    dispatch_pb2_grpc.add_MessageServiceServicer_to_server(target, server)
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    target.address = f"127.0.0.1:{bound}"
    await server.start()
    try:
        yield target
    finally:
        await server.stop(None)
        await asyncio.sleep(0)


@dataclass
class ThreadedTarget(dispatch_pb2_grpc.MessageServiceServicer):
    """The same for tests without an event loop; it can be stopped, and started again at its port."""

    port: int = field(default_factory=free_port)
    answer: dispatch_pb2.HandleResponse = field(default_factory=lambda: dispatch_pb2.HandleResponse(reply=reply()))
    received: list[envelope_pb2.Envelope] = field(default_factory=list)
    metadata: list[dict[str, str]] = field(default_factory=list)
    said: list[json_pb2.Transcribed] = field(default_factory=list)
    free: threading.Event = field(default_factory=threading.Event)
    """Until it is set, nothing is answered."""
    _server: grpc.Server | None = None

    def Handle(  # noqa: N802 - gRPC's name
        self, request: dispatch_pb2.HandleRequest, context: grpc.ServicerContext
    ) -> dispatch_pb2.HandleResponse:
        """One message."""
        self.received.append(request.envelope)
        self.metadata.append({name: str(value) for name, value in context.invocation_metadata()})
        self.free.wait(_PATIENCE_S)
        return self.answer

    def HandleJson(  # noqa: N802 - gRPC's name
        self, request: dispatch_pb2.HandleJsonRequest, context: grpc.ServicerContext
    ) -> dispatch_pb2.HandleJsonResponse:
        """The same."""
        self.said.append(request.request)
        response = self.Handle(read(dispatch_pb2.HandleRequest, request.request), context)
        return dispatch_pb2.HandleJsonResponse(response=transcribe(response))

    def start(self) -> None:
        """Listens."""
        self._server = grpc.server(ThreadPoolExecutor(4))
        dispatch_pb2_grpc.add_MessageServiceServicer_to_server(self, self._server)
        self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        self._server.start()

    def stop(self) -> None:
        """Ends at once."""
        if self._server is not None:
            self._server.stop(None).wait()
            self._server = None


@contextmanager
def running_target() -> Generator[ThreadedTarget]:
    """Runs one on the loopback."""
    target = ThreadedTarget()
    target.free.set()
    target.start()
    try:
        yield target
    finally:
        target.free.set()
        target.stop()
