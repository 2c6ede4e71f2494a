"""Linux's inotify in asyncio: which names changed, microseconds after they did.

In: directories. Out: `Event` values. Called by watch. Why not watchfiles here: it polls its own queue in steps of
milliseconds, which costs either latency or idle CPU, and does not tell a closed file from one that is being written.
Source: inotify(7).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import os
import struct
from dataclasses import dataclass

IN_MODIFY = 0x2
IN_ATTRIB = 0x4
IN_CLOSE_WRITE = 0x8
IN_MOVED_FROM = 0x40
IN_MOVED_TO = 0x80
IN_CREATE = 0x100
IN_DELETE = 0x200
IN_DELETE_SELF = 0x400
IN_MOVE_SELF = 0x800
IN_Q_OVERFLOW = 0x4000
IN_IGNORED = 0x8000
IN_ONLYDIR = 0x1000000
IN_ISDIR = 0x40000000

_MASK = IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF
_HEADER = struct.Struct("iIII")


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of the queue; `folder` is empty when the queue overflowed."""

    folder: str
    name: str
    mask: int
    cookie: int


class Inotify:
    """A queue of events about some directories; not recursive."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        self._folders: dict[int, str] = {}
        self._watches: dict[str, int] = {}
        self._readable = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._fd, self._readable.set)

    def add(self, folder: str) -> bool:
        """Watch a directory; watching it twice changes nothing. False when it is not there (any more)."""
        watch = self._libc.inotify_add_watch(self._fd, os.fsencode(folder), _MASK | IN_ONLYDIR)
        if watch >= 0:
            self._folders[watch] = folder
            before, self._watches[folder] = self._watches.get(folder, watch), watch
            if before != watch and self._folders.get(before) == folder:
                # The name led to another directory, which has no other name here.
                self._libc.inotify_rm_watch(self._fd, before)
            return True
        code = ctypes.get_errno()
        if code in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
            return False
        if code == errno.ENOSPC:
            raise OSError(code, "No inotify watches are left; raise the sysctl fs.inotify.max_user_watches", folder)
        raise OSError(code, os.strerror(code), folder)

    async def events(self, timeout_s: float | None) -> tuple[Event, ...]:
        """Returns when there are some, or none after the time-out."""
        if not self._readable.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._readable.wait()
        return self.read()

    def read(self) -> tuple[Event, ...]:
        """Those that wait, if any."""
        self._readable.clear()
        try:
            data = os.read(self._fd, 1 << 18)
        except BlockingIOError:
            return ()
        return self._parse(data)

    def close(self) -> None:
        """Stop watching."""
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)

    def _parse(self, data: bytes) -> tuple[Event, ...]:
        events, position = [], 0
        while position < len(data):
            watch, mask, cookie, length = _HEADER.unpack_from(data, position)
            position += _HEADER.size
            name = os.fsdecode(data[position : position + length].rstrip(b"\0"))
            position += length
            if mask & IN_IGNORED:
                folder = self._folders.pop(watch, "")
                if self._watches.get(folder) == watch:
                    del self._watches[folder]
                continue
            folder = "" if mask & IN_Q_OVERFLOW else self._folders.get(watch)
            if folder is not None:
                events.append(Event(folder, name, mask, cookie))
        return tuple(events)
