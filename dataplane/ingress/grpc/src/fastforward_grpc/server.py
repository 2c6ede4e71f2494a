"""gRPC's own server, on a Unix socket of its own in a folder that only this process's user can enter.

Whoever can connect is believed to be Envoy: what its `x-ff-...` metadata say is not questioned. In: the adapter. Out:
the socket's path, to which EntryPoint passes on what comes in HTTP/2. Called by whoever keeps the adapters.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import grpc.aio

from .adapter import GrpcAdapter
from .call import MAX_BYTES

_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_BYTES),
    # What clients may say of themselves, in one call.
    ("grpc.max_metadata_size", 32 << 10),
    # Envoy pings nobody, and needs no answer to what it sends seldom.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
)


class GrpcServer:
    """Serves one adapter."""

    def __init__(self, adapter: GrpcAdapter) -> None:
        self._adapter = adapter
        self._server: grpc.aio.Server | None = None
        self._folder: Path | None = None

    @property
    def path(self) -> Path:
        """The socket, once it has been started."""
        if self._folder is None:
            raise RuntimeError("the server has not been started")
        return self._folder / "grpc.sock"

    async def start(self) -> None:
        """Listens. Raises OSError when there is no place for the socket."""
        self._folder = Path(tempfile.mkdtemp(prefix="ff-grpc-"))
        self._server = grpc.aio.server(options=_OPTIONS)
        self._server.add_generic_rpc_handlers((self._adapter,))
        self._server.add_insecure_port(f"unix:{self.path}")
        await self._server.start()

    async def stop(self, grace_seconds: float) -> None:
        """Takes no more calls, and waits for those that are under way."""
        self._adapter.leave()
        if self._server is not None:
            await self._server.stop(grace_seconds)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
