"""The internal address: services for workloads of the product, over gRPC.

In: services, and where they listen. Out: a server. Called by bootstrap. Over TCP with a certificate, callers must have
one of the same authorities that names a workload; whoever can connect without one is believed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import grpc
import grpc.aio
import structlog
from fastforward_kit.http.peer import is_node
from fastforward_kit.tls import NodeTls

log = structlog.get_logger(__name__)

CALLERS = "workload"
MAX_BYTES = 8 << 20
"""Messages hold 4 MiB of content, and headers beside."""
Context = grpc.aio.ServicerContext[Any, Any]
_GRACE_S = 5.0


class Internal:
    """Knows who may call. `shared`: other processes listen at the same address."""

    def __init__(self, address: str, tls: NodeTls | None, *, shared: bool = False) -> None:
        self._address = address
        self._tls = None if address.startswith("unix:") else tls
        self._shared = shared
        self._server: grpc.aio.Server | None = None

    async def admit(self, context: Context) -> None:
        """Ends a call of somebody else."""
        if self._tls is None:
            return
        told = context.auth_context().get("x509_subject_alternative_name", ())
        names = [name.decode(errors="replace") for name in told]
        if not is_node([name for name in names if "://" in name], CALLERS):
            log.warning("caller refused", peer=context.peer(), wanted=CALLERS)
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, f"The certificate names no {CALLERS}.")

    async def start(self, services: Iterable[Callable[[grpc.aio.Server], None]]) -> int:
        """Serves them; returns the port. Raises OSError when the address can't be had."""
        options = (("grpc.so_reuseport", int(self._shared)), ("grpc.max_receive_message_length", MAX_BYTES))
        server = self._server = grpc.aio.server(options=options)
        for add in services:
            add(server)
        try:
            if self._tls is None:
                port = server.add_insecure_port(self._address)
            else:
                port = server.add_secure_port(self._address, self._tls.grpc_server())
        except RuntimeError as error:
            raise OSError(f"nothing can listen at {self._address}") from error
        await server.start()
        return port

    async def stop(self, grace_seconds: float) -> None:
        """Takes no more calls, and waits as long for those that are under way."""
        if self._server is not None:
            await self._server.stop(grace_seconds)

    async def serve(self, services: Iterable[Callable[[grpc.aio.Server], None]]) -> None:
        """Serves them until cancelled; calls under way may end. Raises OSError when the address can't be had."""
        await self.start(services)
        try:
            await asyncio.Event().wait()
        finally:
            await self.stop(_GRACE_S)
