"""What this process serves at the internal address: clients that others reach, and messages that others hand in.

In: the settings, who holds connections, and the exchange where messages are taken. Out: services, from start to stop.
Called by bootstrap.
"""

from __future__ import annotations

from functools import partial

from fastforward_kit.tls import NodeTls
from fastforward_pipeline.message import Exchange

from fastforward.connection.v1 import connection_pb2_grpc
from fastforward.message.v1 import dispatch_pb2_grpc
from fastforward_entrypoint.settings import Settings

from .apart import ExchangeServer
from .connections.port import Registry
from .connections.service import ConnectionServer
from .identifier import make_message_id
from .internal import Internal


class Inside:
    """Nothing, where the settings name no such address; no messages, where there is no exchange."""

    def __init__(self, settings: Settings, tls: NodeTls | None, registry: Registry, exchange: Exchange | None) -> None:
        self._address = settings.internal_listen
        self._internal = Internal(self._address or "", tls, shared=bool(settings.worker))
        self._connections = ConnectionServer(registry, make_message_id, self._internal.admit)
        self._messages = None if exchange is None else ExchangeServer(exchange, self._internal.admit)

    async def start(self) -> None:
        """Listens. Raises OSError when the address can't be had."""
        if self._address is None:
            return
        services = [partial(connection_pb2_grpc.add_ConnectionServiceServicer_to_server, self._connections)]
        if self._messages is not None:
            services.append(partial(dispatch_pb2_grpc.add_EntryPointServiceServicer_to_server, self._messages))
        await self._internal.start(services)

    async def stop(self, grace_seconds: float) -> None:
        """Takes no more calls, ends events, and waits for what else is under way."""
        if self._messages is not None:
            self._messages.end_events()
        await self._internal.stop(grace_seconds)
