"""Where a server listens: `unix:PATH` or `HOST:PORT`; and the sockets for it.

A Unix socket is bound under a temporary name and renamed into place: a successor takes over from its predecessor, or
from a dead process's file, without a moment in which nobody listens.
"""

import asyncio
import contextlib
import os
import socket
from dataclasses import dataclass
from pathlib import Path

MAX_UNIX_PATH = 107  # sockaddr_un on Linux, without the final zero
BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class Address:
    """Exactly one of a Unix socket's `path`, and `host` with `port` (0 for a free one)."""

    path: Path | None = None
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        return f"unix:{self.path}" if self.path else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Returns the address that `text` says. Raises ValueError with a sentence for a user."""
    if text.startswith("unix:"):
        path = Path(text.removeprefix("unix:"))
        room = MAX_UNIX_PATH - len(_suffix())
        if not path.is_absolute() or len(os.fsencode(path)) > room:
            raise ValueError(f"a Unix socket needs an absolute path of at most {room} bytes, not {path}")
        return Address(path=path)
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"an address is unix:PATH or HOST:PORT, not {text!r}")
    return Address(host=host.strip("[]"), port=int(port))


def _suffix() -> str:
    return f".{os.getpid()}"


def open_socket(address: Address, *, mode: int = 0o660) -> socket.socket:
    """Returns a listening socket. Raises OSError when the address is taken or may not be bound."""
    if address.path is None:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        return socket.create_server((address.host, address.port), family=family, backlog=BACKLOG)
    address.path.parent.mkdir(parents=True, exist_ok=True)
    temporary = address.path.with_name(address.path.name + _suffix())
    temporary.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(os.fspath(temporary))
        temporary.chmod(mode)
        listener.listen(BACKLOG)
        temporary.rename(address.path)
    except OSError:
        listener.close()
        temporary.unlink(missing_ok=True)
        raise
    return listener


def identity(address: Address) -> tuple[int, int] | None:
    """Returns what tells this Unix socket file from one that another process put in its place."""
    if address.path is None:
        return None
    with contextlib.suppress(OSError):
        status = address.path.stat()
        return status.st_dev, status.st_ino
    return None


async def is_served(address: Address, *, seconds: float = 1.0) -> bool:
    """Whether some process accepts connections on the Unix socket `address`."""
    if address.path is None:
        return False
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_unix_connection(address.path)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True
