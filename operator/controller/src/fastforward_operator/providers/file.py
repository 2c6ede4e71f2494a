"""Resources from files: directories of YAML or JSON, watched, read again document by document.

In: directories. Out: Batches. Called by reconcile (`watch`), and by the CLI, which reads them once (`load`). A file
renamed into place is delivered within milliseconds; a folder that vanishes altogether is taken for an accident, and its
objects stay.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import fastforward_crds as crds
import structlog
from fastforward_compiler.problem import ObjectRef

from fastforward_operator.kept import Kept

from . import Batch, Source
from .claims import Claims, Unreadable
from .lastgood import LastGood
from .tree import Signature, Tree, is_hidden, list_tree, sign
from .watch import Change, OpenWatch, Watch, open_watch

_log = structlog.get_logger(__name__)

MAX_FILE_BYTES = 3 * 512 * 1024
"""1.5 MiB: what etcd takes for one object."""
_SAVE_AFTER_S = 0.5
_INLINE_FILES = 16
"""Up to so many files are read in the event loop; more would keep it from answering: in a thread."""
_Found = tuple[Signature | None, bytes | Unreadable | None]
"""What a file is by now, and what is in it; nothing of one that is gone."""


class FileProvider:
    """Reads and watches some directories. One instance is used by one task at a time."""

    def __init__(
        self, roots: Iterable[Path], last_good: LastGood | None = None, watch_by: OpenWatch = open_watch
    ) -> None:
        self._roots = tuple(dict.fromkeys(roots))
        self._open_watch = watch_by
        self._last_good = last_good
        self._claims = Claims(_read)
        self._signatures: dict[str, Signature] = {}
        self._closed: set[str] = set()
        """Folders that can't be read, which is told of."""
        self._emptied: set[str] = set()
        """Files that were empty when they were read last, and are looked at once more."""

    def load(self) -> Batch:
        """Everything that is there now."""
        if self._last_good is not None:
            self._claims.remembered = self._last_good.load()
        return self._load(list_tree(self._roots))

    async def watch(self) -> AsyncIterator[Batch]:
        """Everything first, then every change; ends only by cancellation."""
        watch = self._open_watch(self._roots)
        saving = asyncio.create_task(self._save_always())
        try:
            if self._last_good is not None:
                self._claims.remembered = await asyncio.to_thread(self._last_good.load)
            tree = await self._list(watch)
            yield await asyncio.to_thread(self._load, tree)
            while True:
                change = await watch.changed()
                batch = await self._look(change, watch)
                if batch:
                    yield batch
        finally:
            saving.cancel()
            watch.close()
            with contextlib.suppress(asyncio.CancelledError):
                await saving
            self._save()

    def locate(self, source: Source, field: str) -> Source:
        """Where a field of a document is; found by reading its file again, once: for reports."""
        return replace(source, line=self._claims.line_of(source, field))

    def blind(self) -> list[str]:
        """Files are seen."""
        return []

    async def _list(self, watch: Watch) -> Tree:
        """What is there, after everything is watched."""
        tree = await asyncio.to_thread(list_tree, self._roots)
        while watch.extend(tree):
            tree = await asyncio.to_thread(list_tree, self._roots)
        return tree

    def _load(self, tree: Tree) -> Batch:
        _warn_of_missing(tree)
        self._signatures = dict(tree.files)
        seen_at = time.monotonic()
        batch = self._claims.update({**self._note_closed(tree), **{path: _read(path) for path in tree.files}})
        changes, last_good = Kept(batch.changes), {}
        for ref in self._claims.forgotten():
            if (held := self._claims.hold(ref)) is not None:
                changes[ref] = held
            else:
                del self._claims.remembered[ref]
                self._claims.good[ref] = None
        if self._last_good is not None:
            for ref, invalid in changes.invalid():
                if invalid is not None and (known := self._recall(ref)) is not None:
                    last_good[ref] = known
        return replace(batch, changes=changes, last_good=last_good, seen_at=seen_at)

    def _recall(self, ref: ObjectRef) -> crds.Resource | None:
        if self._last_good is None or ref not in self._claims.remembered:
            return None
        return self._last_good.read(ref)

    async def _look(self, change: Change, watch: Watch) -> Batch:
        paths, closed = set(change.paths), dict[str, Unreadable | None]()
        if change.rescan:
            tree = await self._list(watch)
            _warn_of_missing(tree)
            closed = self._note_closed(tree)
            missing = (*tree.missing, *(f"{folder}/" for folder in tree.closed))
            paths |= {path for path, signature in tree.files.items() if self._signatures.get(path) != signature}
            gone = (path for path in self._signatures if path not in tree.files and not path.startswith(missing))
            watch.doubt(gone)
        seen_at = time.monotonic()
        few = len(paths) <= _INLINE_FILES
        found = self._read_changed(paths) if few else await asyncio.to_thread(self._read_changed, paths)
        # Also what somebody wrote while it was read: it may have been read halfway.
        for path in watch.pending() & found.keys():
            del found[path]
        watch.doubt(self._put_off_emptied(found))
        batch = self._take(found, closed) if few else await asyncio.to_thread(self._take, found, closed)
        return replace(batch, seen_at=seen_at)

    def _read_changed(self, paths: Iterable[str]) -> dict[str, _Found]:
        found: dict[str, _Found] = {}
        for path in paths:
            signature = sign(path)
            if signature is None:
                if self._is_gone(path):
                    found[path] = None, None
            elif signature != self._signatures.get(path):
                found[path] = signature, _read(path)
        return found

    def _put_off_emptied(self, found: dict[str, _Found]) -> set[str]:
        """Who writes a file anew empties it first, and that is seen a moment before it is told of."""
        empty = {path for path, (_, content) in found.items() if content == b"" and path in self._signatures}
        news = empty - self._emptied
        self._emptied = (self._emptied - found.keys()) | news
        for path in news:
            del found[path]
        return news

    def _take(self, found: Mapping[str, _Found], closed: Mapping[str, Unreadable | None]) -> Batch:
        for path, (signature, _) in found.items():
            if signature is not None:
                self._signatures[path] = signature
            else:
                self._signatures.pop(path, None)
        return self._claims.update({**closed, **{path: content for path, (_, content) in found.items()}})

    def _note_closed(self, tree: Tree) -> dict[str, Unreadable | None]:
        """What is new about folders that can't be read: a document each, in whose place nothing is known."""
        told: dict[str, Unreadable | None] = dict.fromkeys(self._closed - tree.closed.keys())
        for folder in tree.closed.keys() - self._closed:
            told[folder] = Unreadable(message=f"The folder can't be read: {tree.closed[folder]}.")
        self._closed = set(tree.closed)
        return told

    def _is_gone(self, path: str) -> bool:
        """Whether a file that can't be seen is gone by itself, and not with the whole directory."""
        if path not in self._signatures or is_hidden(path):
            return False
        return all(root.exists() for root in self._roots if _holds(root, path))

    async def _save_always(self) -> None:
        while True:
            await asyncio.sleep(_SAVE_AFTER_S)
            if self._claims.good:
                await asyncio.to_thread(self._save)

    def _save(self) -> None:
        objects, self._claims.good = self._claims.good, {}
        if self._last_good is None or not objects:
            return
        try:
            self._last_good.save(objects)
        except (OSError, sqlite3.Error) as error:
            _log.warning("last good versions are not kept", error=str(error))


def _warn_of_missing(tree: Tree) -> None:
    if tree.missing:
        _log.warning("directory is not there; objects that were in it stay", directories=tree.missing)


def _holds(root: Path, path: str) -> bool:
    return path.startswith(f"{root}/")


def _read(path: str) -> bytes | Unreadable | None:
    try:
        with Path(path).open("rb") as file:
            # Not read(MAX_FILE_BYTES): that takes as much room for each of ten thousand small files.
            content = file.read() if os.fstat(file.fileno()).st_size <= MAX_FILE_BYTES else None
    except FileNotFoundError:
        return None
    except OSError as error:
        return Unreadable(message=f"The file can't be read: {error.strerror}.")
    if content is None or len(content) > MAX_FILE_BYTES:
        return Unreadable(message="The file is larger than 1.5 MiB: split it.")
    return content
