"""A workload that takes messages, over real gRPC: it does what the test says, and remembers what it was sent.

In: an answer for each message. Out: its address, and what came. Called by tests of EntryPoint.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc.aio

from fastforward.message.v1 import dispatch_pb2, dispatch_pb2_grpc, envelope_pb2

from .messages import reply

Context = grpc.aio.ServicerContext[dispatch_pb2.HandleRequest, dispatch_pb2.HandleResponse]
Handler = Callable[[envelope_pb2.Envelope], Awaitable[dispatch_pb2.HandleResponse]]


async def agree(_: envelope_pb2.Envelope) -> dispatch_pb2.HandleResponse:
    """Answers that all is well."""
    return dispatch_pb2.HandleResponse(reply=reply())


@dataclass
class MessageTarget(dispatch_pb2_grpc.MessageServiceServicer):
    """The workload."""

    handler: Handler = agree
    received: list[envelope_pb2.Envelope] = field(default_factory=list)
    left_s: list[float] = field(default_factory=list)
    address: str = ""

    async def Handle(  # noqa: N802 - gRPC's name
        self, request: dispatch_pb2.HandleRequest, context: Context
    ) -> dispatch_pb2.HandleResponse:
        """One message."""
        self.received.append(request.envelope)
        self.left_s.append(context.time_remaining() or float("inf"))
        return await self.handler(request.envelope)


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
