"""Several processes that share one socket: starts them, restarts those that die, passes SIGTERM on.

In: settings with `workers` > 1, so with Redis. Each worker is EntryPoint again, with a connection to the operator, a
state folder and a health port of its own. None outlives the parent: each holds one end of a pipe that closes with it.
"""

import asyncio
import contextlib
import os
import sys
import time

import structlog
from fastforward_kit.backoff import Backoff
from fastforward_kit.http import Listener
from fastforward_kit.lifecycle import either, stop_signals

from fastforward_entrypoint.settings import Settings, worker_environment

log = structlog.get_logger(__name__)

STEADY_SECONDS = 10.0  # a worker that lived as long may be restarted at once
GRACE_SECONDS = 3.0  # beyond the drain, for a worker to end by itself


async def run_workers(settings: Settings) -> None:
    """Returns when all workers have ended after SIGTERM. Raises OSError when the address can't be bound."""
    stop = stop_signals()
    listener = Listener(settings.address)
    lifeline_read, lifeline_write = os.pipe()
    try:
        async with asyncio.TaskGroup() as tasks:
            for number in range(1, settings.workers + 1):
                environment = worker_environment(number, socket=listener.socket.fileno(), lifeline=lifeline_read)
                descriptors = (listener.socket.fileno(), lifeline_read)
                patience = settings.drain_seconds + GRACE_SECONDS
                tasks.create_task(_keep_running(number, environment, descriptors, stop, patience))
    finally:
        os.close(lifeline_read)
        os.close(lifeline_write)
        listener.close()


async def _keep_running(
    number: int, environment: dict[str, str], descriptors: tuple[int, int], stop: asyncio.Event, patience: float
) -> None:
    backoff = Backoff(first=0.1, longest=10.0)
    while not stop.is_set():
        started = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "fastforward_entrypoint", env=environment, pass_fds=descriptors
        )
        await either(process.wait(), stop.wait())
        if stop.is_set():
            await _end(process, patience)
            return
        if time.monotonic() - started > STEADY_SECONDS:
            backoff.reset()
        wait = backoff.next_wait()
        log.error("worker died", worker=number, status=process.returncode, restart_in=round(wait, 2))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await stop.wait()


async def _end(process: asyncio.subprocess.Process, patience: float) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(patience):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
