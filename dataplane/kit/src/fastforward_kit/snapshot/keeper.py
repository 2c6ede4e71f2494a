"""Writes the snapshot to disk some time after it changed, and once more at the end.

Runs beside the client for a workload's whole life. A disk that fails costs a log line, never a request.
"""

import asyncio
import time

import structlog

from fastforward_kit.snapshot.disk import SnapshotFile
from fastforward_kit.snapshot.holder import S, SnapshotHolder

log = structlog.get_logger(__name__)

LOOK_SECONDS = 0.25
MAX_SHARE = 0.05  # of the time, that writing may take while changes keep coming


async def keep_on_disk(holder: SnapshotHolder[S], file: SnapshotFile) -> None:
    """Saves what `holder` holds whenever it has changed; returns when cancelled."""
    saved = holder.changes
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        if holder.changes == saved or not holder.complete:
            continue
        started, changes = time.monotonic(), holder.changes
        if await asyncio.to_thread(save, holder, file):
            saved = changes
        await asyncio.sleep((time.monotonic() - started) / MAX_SHARE)


async def restore(holder: SnapshotHolder[S], file: SnapshotFile) -> None:
    """Applies what was kept, if anything whole was; an unusable file is no reason not to start."""
    try:
        await asyncio.to_thread(file.clear_leftovers)
        kept = await asyncio.to_thread(file.load)
        if kept is not None:
            await holder.apply(kept)
            holder.complete = True
            log.info("snapshot restored", resources=len(holder.held), digest=holder.digest)
    except Exception:  # written by another version, maybe: the operator sends it all again
        log.exception("snapshot not restored", path=str(file.path))


def save(holder: SnapshotHolder[S], file: SnapshotFile) -> bool:
    """Writes the file; returns whether the disk took it."""
    try:
        file.save(holder.bodies())
    except OSError:
        log.exception("snapshot not kept", path=str(file.path))
        return False
    return True
