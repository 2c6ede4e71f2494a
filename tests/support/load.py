"""Requests without a pause, to see whether anything loses one. Called by feature tests."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from support.envoy import Connection


@dataclass(slots=True)
class Load:
    """What the clients got so far."""

    answers: Counter[int] = field(default_factory=Counter)
    """By status; 0 for a connection that broke."""

    @property
    def failed(self) -> dict[int, int]:
        return {status: count for status, count in self.answers.items() if status != 200}


@asynccontextmanager
async def load(port: int, host: str, *, path: str = "/", clients: int = 4) -> AsyncGenerator[Load, None]:
    """Clients that ask one after the other, each on a connection of its own, while the block runs."""
    seen = Load()

    async def client() -> None:
        connection = Connection(port)
        try:
            while True:
                try:
                    answer = await connection.get(host, path)
                    seen.answers[answer.status] += 1
                except (OSError, asyncio.IncompleteReadError):
                    await connection.close()
                    seen.answers[0] += 1
                await asyncio.sleep(0.001)
        finally:
            await connection.close()

    tasks = [asyncio.create_task(client()) for _ in range(clients)]
    try:
        yield seen
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
