"""The adapter: a handshake that its rule has let through becomes a connection, each of whose frames is a message.

In: requests that Envoy hands on, whose `x-ff-...` headers are Envoy's own. Out: connections, or refusals of the
handshake. Called by the HTTP server of EntryPoint, in whose process the adapter runs.
"""

from __future__ import annotations

from collections.abc import Callable

from fastforward_kit.http import Request, Response
from fastforward_kit.websocket import WebSocket, accept
from fastforward_pipeline.message import Exchange, Intake, Operation

from fastforward.message.v1 import envelope_pb2
from fastforward.snapshot.v1 import snapshot_pb2

from .port import Connected, Connections
from .session import Session

SUBPROTOCOL = "fastforward.v1.json"


class WebSocketAdapter:
    """`clock` tells Unix time, `make_id` makes the id of a message."""

    def __init__(
        self, exchange: Exchange, connections: Connections, clock: Callable[[], float], make_id: Callable[[], str]
    ) -> None:
        self._exchange = exchange
        self._connections = connections
        self._clock = clock
        self._make_id = make_id

    def __call__(self, asked: Request, dispatch: snapshot_pb2.AdapterDispatch) -> Response:
        """Accepts the connection, or refuses it."""
        host = dispatch.host or asked.header("host")
        headers = {name: values for name, values in asked.headers.items() if not name.startswith("sec-websocket-")}
        about = Connected(
            id=self._connections.make_id(),
            tenant=asked.header("x-ff-tenant"),
            subject=asked.header("x-ff-subject"),
            host=host,
            since=self._clock(),
        )
        intake = Intake(protocol=envelope_pb2.PROTOCOL_WEBSOCKET, headers=headers, host=host, connection_id=about.id)

        async def serve(socket: WebSocket) -> None:
            session = Session(socket, about, self._exchange, intake, self._message)
            self._connections.add(session)
            try:
                await session.serve()
            finally:
                self._connections.remove(about.id)

        return accept(asked, (SUBPROTOCOL,), serve)

    def _message(self, intake: Intake, operation: Operation) -> envelope_pb2.Envelope:
        return intake.found(operation, message_id=self._make_id(), now=self._clock())
