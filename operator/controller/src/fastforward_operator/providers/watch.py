"""Which resource files may have changed, told as soon as they are whole.

In: folders. Out: `Change` values: paths to read again, or that everything has to be looked at. Called by file. A file
counts as changed when it is closed after writing or renamed into place; one that is kept open is read a while after
its last write. A file that vanishes is given a moment to come back, because editors save by renaming.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import watchfiles

from . import inotify
from .tree import Identity, Tree, is_resource_name

GONE_AFTER_S = 0.1
"""How long a file must be away before its objects are."""
WRITTEN_AFTER_S = 1.0
"""How long after its last write a file that nobody closes is read."""
RETRY_S = 0.25
"""How often a missing root is looked for."""
CLOSED_S = 5.0
"""How often a folder is looked at that can't be read: nothing tells when it can."""
LOOK_S = 1.0
"""How often everything is looked at where changes may go unseen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What to look at."""

    paths: frozenset[str] = frozenset()
    rescan: bool = False


class Watch(Protocol):
    """Watches the folders of a Tree."""

    def extend(self, tree: Tree) -> bool:
        """Watch its folders as well; True when there were new ones: then files may have come unseen."""
        ...

    def doubt(self, paths: Iterable[str]) -> None:
        """These files are not there: tell so after the grace, unless they come back."""
        ...

    def pending(self) -> set[str]:
        """Files to which something has happened by now, or still does: they are told of when that is over."""
        ...

    async def changed(self) -> Change:
        """The next change."""
        ...

    def close(self) -> None:
        """Stop watching."""
        ...


OpenWatch = Callable[[Iterable[Path]], Watch]


def open_watch(roots: Iterable[Path]) -> Watch:
    """The best there is on this system."""
    return InotifyWatch() if sys.platform == "linux" else PollingWatch(roots)


class InotifyWatch:
    """By inotify."""

    def __init__(self) -> None:
        self._inotify = inotify.Inotify()
        self._folders: dict[str, Identity] = {}
        self._targets: dict[str, Identity] = {}
        self._links: dict[tuple[Identity, str], set[str]] = {}
        self._ready: set[str] = set()
        self._due: dict[str, float] = {}
        self._rescan = False
        self._rescan_at = 0.0

    def extend(self, tree: Tree) -> bool:
        known, wanted = {**self._targets, **self._folders}, {**tree.targets, **tree.folders}
        # Also one that is another by the same name: a link was switched.
        new = {each for each in sorted(wanted) if known.get(each) != wanted[each] and self._inotify.add(each)}
        watched = {each for each in wanted if each in new or known.get(each) == wanted[each]}
        self._folders = {each: identity for each, identity in tree.folders.items() if each in watched}
        self._targets = {each: identity for each, identity in tree.targets.items() if each in watched}
        self._links = tree.links
        if tree.missing or tree.closed:
            self._rescan_at = time.monotonic() + (RETRY_S if tree.missing else CLOSED_S)
        return bool(new)

    def doubt(self, paths: Iterable[str]) -> None:
        now = time.monotonic()
        for path in paths:
            self._due.setdefault(path, now + GONE_AFTER_S)

    def pending(self) -> set[str]:
        self._sort_all(self._inotify.read())
        return self._ready.union(self._due)

    async def changed(self) -> Change:
        while True:
            self._sort_all(await self._inotify.events(self._timeout()))
            now = time.monotonic()
            for path in [path for path, due in self._due.items() if due <= now]:
                del self._due[path]
                self._ready.add(path)
            if 0 < self._rescan_at <= now:
                self._rescan_at, self._rescan = 0.0, True
            if self._ready or self._rescan:
                change = Change(paths=frozenset(self._ready), rescan=self._rescan)
                self._ready, self._rescan = set(), False
                return change

    def close(self) -> None:
        self._inotify.close()

    def _timeout(self) -> float | None:
        if self._ready or self._rescan:
            return 0.0
        times = [*self._due.values(), *([self._rescan_at] if self._rescan_at else [])]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _sort_all(self, events: Iterable[inotify.Event]) -> None:
        moved: dict[int, set[str]] = {}
        for event in events:
            self._rescan |= self._take(event, moved)

    def _take(self, event: inotify.Event, moved: dict[int, set[str]]) -> bool:
        """Sorts an event into what is ready and what is due later; True when everything has to be looked at."""
        mask, path = event.mask, os.path.join(event.folder, event.name)  # noqa: PTH118 - names stay as they are
        if not event.folder or mask & (inotify.IN_DELETE_SELF | inotify.IN_MOVE_SELF):
            self._folders.pop(event.folder, None)
            self._targets.pop(event.folder, None)
            return True
        is_ours = event.folder in self._folders
        identity = self._folders.get(event.folder) or self._targets.get(event.folder)
        if identity is None:
            return True
        if mask & inotify.IN_ISDIR:
            return not is_ours or (not event.name.startswith(".") and not mask & inotify.IN_MODIFY)
        paths = set(self._links.get((identity, event.name), ()))
        if is_ours and is_resource_name(event.name):
            paths.add(path)
        for each in paths:
            self._sort(event, each, moved)
        is_new = bool(mask & (inotify.IN_CREATE | inotify.IN_MOVED_TO))
        if paths:
            # Where a new link leads is to be watched.
            return is_new and Path(path).is_symlink()
        if not is_ours:
            # It may be a link on the way to a file of ours.
            return not mask & (inotify.IN_MODIFY | inotify.IN_CLOSE_WRITE)
        # `..data` is how a ConfigMap mount is switched; a link without suffix may lead to a folder.
        return event.name.startswith("..") or path in self._folders or (is_new and Path(path).is_dir())

    def _sort(self, event: inotify.Event, path: str, moved: dict[int, set[str]]) -> None:
        mask, now = event.mask, time.monotonic()
        if mask & (inotify.IN_CLOSE_WRITE | inotify.IN_MOVED_TO):
            self._ready.add(path)
            self._due.pop(path, None)
            for origin in moved.pop(event.cookie, ()) if mask & inotify.IN_MOVED_TO else ():
                self._due.pop(origin, None)
                self._ready.add(origin)
        elif mask & (inotify.IN_DELETE | inotify.IN_MOVED_FROM):
            self._ready.discard(path)
            self._due[path] = now + GONE_AFTER_S
            if mask & inotify.IN_MOVED_FROM:
                moved.setdefault(event.cookie, set()).add(path)
        elif Path(event.folder, event.name).is_symlink():
            self._ready.add(path)
        else:
            self._ready.discard(path)
            self._due[path] = now + WRITTEN_AFTER_S


class PollingWatch:
    """Where there is no inotify: everything is looked at when watchfiles sees something, and every LOOK_S anyway."""

    def __init__(self, roots: Iterable[Path]) -> None:
        self._roots = tuple(roots)
        self._due: dict[str, float] = {}
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._collect())

    def extend(self, tree: Tree) -> bool:
        del tree
        return False

    def doubt(self, paths: Iterable[str]) -> None:
        now = time.monotonic()
        for path in paths:
            self._due.setdefault(path, now + GONE_AFTER_S)

    def pending(self) -> set[str]:
        return set()

    async def changed(self) -> Change:
        timeout = min((max(0.0, due - time.monotonic()) for due in self._due.values()), default=LOOK_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._news.wait()
        self._news.clear()
        now = time.monotonic()
        ready = frozenset(path for path, due in self._due.items() if due <= now)
        self._due = {path: due for path, due in self._due.items() if path not in ready}
        return Change(paths=ready, rescan=True)

    def close(self) -> None:
        self._task.cancel()

    async def _collect(self) -> None:
        """A burst of writes is seen as one: a file is read when nothing changed for a moment."""
        while True:
            present = [root for root in self._roots if root.exists()]
            with contextlib.suppress(OSError):
                async for _ in watchfiles.awatch(*present, debounce=200, step=20, watch_filter=None):
                    self._news.set()
            await asyncio.sleep(RETRY_S)
