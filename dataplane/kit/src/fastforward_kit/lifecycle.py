"""Starting, waiting for the signal to stop, and how the interpreter is set for a server.

Called by workloads' bootstrap.
"""

import asyncio
import gc
import resource
import signal
import sys
from collections.abc import Collection, Coroutine
from typing import Any

SWITCH_SECONDS = 0.0005
"""How soon a thread that builds a snapshot lets the event loop go on. Python's default, 5 ms, is ten decisions long."""


def stop_signals() -> asyncio.Event:
    """Returns an event that SIGTERM and SIGINT set, instead of ending the process."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def either(one: Coroutine[Any, Any, object], other: Coroutine[Any, Any, object]) -> None:
    """Returns when one of the two has ended, and ends the wait for the other."""
    waits = [asyncio.create_task(one), asyncio.create_task(other)]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def let_end(under_way: Collection[asyncio.Future[Any]], patience_s: float) -> None:
    """Waits for what is under way, and ends what is not over in time."""
    if under_way:
        _, late = await asyncio.wait(under_way, timeout=patience_s)
        for each in late:
            each.cancel()
        await asyncio.gather(*late, return_exceptions=True)


def raise_file_limit() -> None:
    """Lets the process have as many connections as the system allows it: the usual soft limit, 1,024, is for programs
    that use select.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def tune_interpreter() -> None:
    """Keeps threads and the garbage collector from holding up the event loop."""
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.set_threshold(20_000, 20, 100)


def set_aside_live_objects() -> None:
    """Takes all that lives now out of the collector's sight.

    A snapshot of 10,000 routes is a million objects that stay; each full collection would walk them all and hold up
    every request meanwhile. Those that are replaced are still freed, by their reference counts.
    """
    gc.freeze()
