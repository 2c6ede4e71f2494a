"""A file with the status of each object, beside the last good versions: for those who look without the API.

In: statuses that change. Out: STATE/status/KIND/NAMESPACE/NAME.json. Called by bootstrap. Written together, some time
after the first change, in a thread: only the newest status of each object is.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import structlog
from fastforward_compiler.problem import ObjectRef
from pydantic_core import to_json

from .objectstatus import ObjectStatus
from .presentation import present_uncounted

_log = structlog.get_logger(__name__)

_DELAY_S = 0.25
_SLICE = 20


@dataclass(slots=True)
class StatusFiles:
    """Subscribed to the status board."""

    folder: Path
    _changed: dict[ObjectRef, ObjectStatus | None] = field(default_factory=dict)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def observe(self, ref: ObjectRef, status: ObjectStatus | None) -> None:
        """A status changed."""
        self._changed[ref] = status
        self._news.set()

    async def run(self) -> None:
        """Until cancelled; files of an earlier run go first."""
        await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)
        while True:
            await self._news.wait()
            await asyncio.sleep(_DELAY_S)
            self._news.clear()
            changed, self._changed = self._changed, {}
            try:
                await self._write_all(list(changed.items()))
            except OSError as error:
                _log.warning("status files are not written", error=str(error))

    async def _write_all(self, changed: Sequence[tuple[ObjectRef, ObjectStatus | None]]) -> None:
        """Nobody waits for these: after each slice, changes have the interpreter to themselves for as long."""
        for start in range(0, len(changed), _SLICE):
            began = time.monotonic()
            await asyncio.to_thread(self._write, changed[start : start + _SLICE])
            await asyncio.sleep(time.monotonic() - began)

    def _write(self, changed: Iterable[tuple[ObjectRef, ObjectStatus | None]]) -> None:
        for ref, status in changed:
            path = self._path(ref)
            if status is None:
                path.unlink(missing_ok=True)
                continue
            with contextlib.suppress(FileExistsError):
                path.parent.mkdir(parents=True, mode=0o700)
            new = path.with_suffix(".new")
            content = to_json(present_uncounted(status, locate=None), indent=2) + b"\n"
            with os.fdopen(os.open(new, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
                file.write(content)
            new.replace(path)

    def _path(self, ref: ObjectRef) -> Path:
        # Names of documents are paths: as one word, so that nothing is written elsewhere.
        return self.folder / ref.kind / quote(ref.namespace or "-", safe="") / f"{quote(ref.name, safe='')[:200]}.json"
