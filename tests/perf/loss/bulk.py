"""More requests than a checker in Python can send, by a program written in C: h2load, over HTTP/1.1 and HTTP/2.

In: a port, a host. Out: counts of right answers and of all else; only statuses are looked at. Called by no_drop. The
rate is fixed, so that what is measured beside it has a processor left.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from perf.loss.checked_load import HEADERS

_RUN_S = 3
_CLIENTS, _RATE = 4, 50
"""Connections, and requests a second over each."""


@asynccontextmanager
async def bulk(port: int, host: str) -> AsyncGenerator[Counter[str]]:
    """Runs of some seconds, one after the other, while the block runs; the last one is waited for."""
    found: Counter[str] = Counter()
    ended = asyncio.Event()
    tasks = [asyncio.create_task(_ask_on(found, ended, port, host, option)) for option in ("--h1", "")]
    try:
        yield found
        ended.set()
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _ask_on(found: Counter[str], ended: asyncio.Event, port: int, host: str, option: str) -> None:
    while not ended.is_set():
        found += counted(await _run(port, host, option))


async def _run(port: int, host: str, option: str) -> str:
    # The name of the URL is what HTTP/1.1 sends as Host; it connects elsewhere.
    url = f"http://{host}/books/emma"
    headers = [f"-H{name}: {value}" for name, value in HEADERS.items()]
    load = [f"-c{_CLIENTS}", "-t1", "-m1", f"-D{_RUN_S}", f"--rps={_RATE}", f"--connect-to=127.0.0.1:{port}"]
    command = ["h2load", *([option] if option else []), *load, *headers, url]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        said, complaint = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode != 0:
        raise RuntimeError(f"h2load failed: {complaint.decode()}")
    return said.decode()


def counted(said: str) -> Counter[str]:
    """What h2load counted: statuses, and requests that broke."""
    statuses = {kind: int(count) for count, kind in re.findall(r"(\d+) ([2-5])xx", said)}
    (failed,) = (int(count) for count in re.findall(r"(\d+) failed", said))
    broken = max(0, failed - statuses["4"] - statuses["5"])
    counts = {"right": statuses["2"], "broken": broken}
    return Counter({**counts, **{f"{kind}xx": statuses[kind] for kind in "345"}})
