"""Listening sockets that a successor can take over.

A Unix socket is bound under a temporary name and renamed into place: a successor takes over from its predecessor, or
from a dead process's file, without a moment in which nobody listens. Called by servers, and by a parent that shares one
socket among its workers.
"""

import contextlib
import os
import socket
from dataclasses import replace
from pathlib import Path

from fastforward_kit.http.address import Address, temporary_suffix

BACKLOG = 1024


class Listener:
    """A socket that listens on `address`, whose port is the one that was given when it asked for any."""

    def __init__(self, address: Address, *, mode: int = 0o660) -> None:
        """Binds; `mode` is for a Unix socket's file. Raises OSError when the address is taken or not allowed."""
        if address.path is None:
            family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
            self.socket = socket.create_server((address.host, address.port), family=family, backlog=BACKLOG)
            self.address = replace(address, port=int(self.socket.getsockname()[1]))
            self._identity = None
        else:
            self.socket = _bind_unix(address.path, mode)
            self.address = address
            self._identity = _identity(address.path)

    @property
    def taken_over(self) -> bool:
        """Whether another process has put its own socket in the place of this one."""
        return self.address.path is not None and _identity(self.address.path) != self._identity

    def close(self) -> None:
        """Closes the socket, and removes its file unless a successor has put its own there."""
        self.socket.close()
        if self.address.path is not None and not self.taken_over:
            self.address.path.unlink(missing_ok=True)


def _bind_unix(path: Path, mode: int) -> socket.socket:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + temporary_suffix())
    temporary.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.bind(os.fspath(temporary))
        temporary.chmod(mode)
        bound.listen(BACKLOG)
        temporary.rename(path)
    except OSError:
        bound.close()
        temporary.unlink(missing_ok=True)
        raise
    return bound


def _identity(path: Path) -> tuple[int, int] | None:
    """Returns what tells this file from one that another process put in its place."""
    with contextlib.suppress(OSError):
        status = path.stat()
        return status.st_dev, status.st_ino
    return None
