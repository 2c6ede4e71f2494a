"""The internal address: services for workloads of the product, over gRPC.

In: services, and where they listen. Out: a server. Called by bootstrap. Over TCP with a certificate, callers must have
one of the same authorities that names a workload; whoever can connect without one is believed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import grpc
import grpc.aio
import structlog
from fastforward_kit.http.peer import is_node
from fastforward_kit.tls import NodeTls

log = structlog.get_logger(__name__)

CALLERS = "workload"
Context = grpc.aio.ServicerContext[Any, Any]
_GRACE_S = 5.0


class Internal:
    """Knows who may call."""

    def __init__(self, address: str, tls: NodeTls | None) -> None:
        self._address = address
        self._tls = None if address.startswith("unix:") else tls

    async def admit(self, context: Context) -> None:
        """Ends a call of somebody else."""
        if self._tls is None:
            return
        told = context.auth_context().get("x509_subject_alternative_name", ())
        names = [name.decode(errors="replace") for name in told]
        if not is_node([name for name in names if "://" in name], CALLERS):
            log.warning("caller refused", peer=context.peer(), wanted=CALLERS)
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, f"The certificate names no {CALLERS}.")

    async def serve(self, services: Iterable[Callable[[grpc.aio.Server], None]]) -> None:
        """Serves them until cancelled; calls under way may end. Raises OSError when the address can't be had."""
        server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        for add in services:
            add(server)
        try:
            if self._tls is None:
                server.add_insecure_port(self._address)
            else:
                server.add_secure_port(self._address, self._tls.grpc_server())
        except RuntimeError as error:
            raise OSError(f"nothing can listen at {self._address}") from error
        await server.start()
        try:
            await server.wait_for_termination()
        finally:
            await server.stop(_GRACE_S)
