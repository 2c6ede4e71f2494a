"""Waiting until something answers: a URL, or a port.

In: a URL or address. Out: nothing, or a time-out. Called by supervisor/up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp

_POLL_S = 0.05
_ONE_TRY = aiohttp.ClientTimeout(total=1.0)


async def until_ready(url: str, check: Callable[[], None], timeout_s: float) -> None:
    """Wait until `url` answers 200. `check` raises when waiting is in vain; TimeoutError after `timeout_s`."""
    async with aiohttp.ClientSession(timeout=_ONE_TRY) as session:
        await _until(lambda: _answers(session, url), check, timeout_s)


async def until_listening(address: str, port: int, check: Callable[[], None], timeout_s: float) -> None:
    """Wait until a TCP connection to `address:port` succeeds; like `until_ready`."""
    await _until(lambda: _connects(address, port), check, timeout_s)


async def _until(holds: Callable[[], Awaitable[bool]], check: Callable[[], None], timeout_s: float) -> None:
    async with asyncio.timeout(timeout_s):
        while not await holds():
            check()
            await asyncio.sleep(_POLL_S)


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as response:
            return response.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False


async def _connects(address: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(address, port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True
