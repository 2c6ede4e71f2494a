"""Waiting until something answers: a URL, or a port.

In: a URL or an address. Out: nothing. Called by supervisor/up, which bounds the time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from .loopback import ask, split_url

POLL_S = 0.05


async def until_ready(url: str) -> None:
    """Wait until `url` answers 200."""
    address, target = split_url(url)

    async def answers() -> bool:
        try:
            return (await ask(address, target)).status == 200
        except OSError:
            return False

    await until(answers)


async def until_listening(address: str, port: int) -> None:
    """Wait until a TCP connection succeeds."""

    async def connects() -> bool:
        try:
            _, writer = await asyncio.open_connection(address, port)
        except OSError:
            return False
        writer.close()
        return True

    await until(connects)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Poll until it holds."""
    while True:
        if await holds():
            return
        await asyncio.sleep(POLL_S)
