"""Requests without a pause, to see whether anything loses one. Called by feature tests."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from support.envoy import Answer, Connection


@dataclass(slots=True)
class Load:
    """What the clients got so far."""

    answers: Counter[int] = field(default_factory=Counter)
    """By status; 0 for a connection that broke."""

    failed: Counter[str] = field(default_factory=Counter)
    """Status and body of all that was not 200."""

    def count(self, answer: Answer) -> None:
        self.answers[answer.status] += 1
        if answer.status != 200:
            self.failed[f"{answer.status} {answer.body}"] += 1


@asynccontextmanager
async def load(port: int, host: str, *, path: str = "/", clients: int = 4) -> AsyncGenerator[Load, None]:
    """Clients that ask one after the other, each on a connection of its own, while the block runs."""
    seen = Load()

    async def client() -> None:
        connection = Connection(port)
        try:
            while True:
                try:
                    seen.count(await connection.get(host, path))
                except (OSError, asyncio.IncompleteReadError) as error:
                    await connection.close()
                    seen.count(Answer(0, repr(error)))
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
