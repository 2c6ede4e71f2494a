"""The state folder of `ff up`: credentials, logs, sockets, and the lock that keeps it to one command at a time.

In: the path that the user chose. Out: paths for the children. Called by supervisor/up, and by `ff credentials`, which
changes what a running operator would read. Sockets have a place of their own when the folder's path is long: the kernel
allows 107 bytes for the path of a Unix socket (unix(7)).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import IO

MAX_SOCKET_PATH = 107
_LONGEST_NAME = len("/decision.sock")


class StateError(Exception):
    """The folder can't be used; the message says why and what to do."""


class StateFolder:
    """One `ff up` at a time owns it: `claim` before use, `release` at the end. Who runs nothing has it `locked`."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.dev = self.path / "dev"
        self.logs = self.path / "logs"
        self.operator = self.path / "operator"
        self.decision = self.path / "decision"
        self.envoy = self.path / "envoy"
        self.traefik = self.path / "traefik"
        self.sockets = _socket_folder(self.path)
        self.xds_socket = self.sockets / "xds.sock"
        self.decision_socket = self.sockets / "decision.sock"
        self.admin_socket = self.sockets / "admin.sock"
        self._lock: IO[str] | None = None

    def claim(self) -> None:
        """Make the folder and lock it, with fresh logs; the kernel unlocks when the process ends. Raises StateError."""
        for folder in (self.path, self.dev, self.logs, self.operator, self.decision, self.envoy, self.traefik):
            _make(folder)
        _make_private(self.sockets)
        self._lock = self._take_lock()
        for log in self.logs.glob("*.log"):
            log.replace(log.with_suffix(".log.old"))

    @contextlib.contextmanager
    def locked(self) -> Generator[None]:
        """The lock alone, for a change of the files while nothing runs. Raises StateError."""
        _make(self.path)
        with self._take_lock():
            yield

    def _take_lock(self) -> IO[str]:
        try:
            lock = (self.path / "lock").open("a+")
        except OSError as error:
            raise StateError(
                f"{self.path} can't be written ({error.strerror}): name another folder with --state."
            ) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            owner = lock.read().strip() or "unknown"
            lock.close()
            raise StateError(
                f"Another ff (process {owner}) uses {self.path}: end it, or name another folder with --state."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        return lock

    def release(self) -> None:
        """Give up the lock and the sockets; nothing to do for who did not claim it."""
        if self._lock is None:
            return
        for socket in self.sockets.glob("*.sock"):
            socket.unlink(missing_ok=True)
        self._lock.close()
        self._lock = None


def _socket_folder(state: Path) -> Path:
    own = state / "run"
    if len(os.fsencode(own)) + _LONGEST_NAME <= MAX_SOCKET_PATH:
        return own
    digest = hashlib.sha256(os.fsencode(state)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"ff-{os.getuid()}-{digest}"


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StateError(f"{folder} can't be made ({error.strerror}): name another folder with --state.") from None


def _make_private(folder: Path) -> None:
    """A folder below the system's temporary one may have been laid out by somebody else."""
    _make(folder)
    found = folder.lstat()
    if folder.is_symlink() or found.st_uid != os.getuid():
        raise StateError(f"{folder} belongs to somebody else: remove it, or name another folder with --state.")
    folder.chmod(0o700)
