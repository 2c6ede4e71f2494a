"""Requests through a gateway: of one client that waits for a change, and of some that ask steadily meanwhile.

Out: Answers, and a count of those that were not 200. Called by probe.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import AsyncGenerator, Sequence

from support.envoy import Answer, Connection

_PATH = "/svc/x"
_PAUSE_S = 0.01
_CLIENTS = 2
_ANSWER_S = 5.0


class Asker:
    """One kept-alive connection, opened again when it breaks; status 0 when there is no answer."""

    def __init__(self, port: int) -> None:
        self._connection = Connection(port)

    async def get(self, host: str) -> Answer:
        """One request."""
        try:
            async with asyncio.timeout(_ANSWER_S):
                return await self._connection.get(host, _PATH)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            await self._connection.close()
            return Answer(0, repr(error))


@contextlib.asynccontextmanager
async def steady(port: int, hosts: Sequence[str]) -> AsyncGenerator[Counter[int]]:
    """Clients that go over these hosts, at most 100 requests a second each: how many answers had which status."""
    seen: Counter[int] = Counter()

    async def client(first: int) -> None:
        asker = Asker(port)
        for host in itertools.islice(itertools.cycle(hosts), first, None):
            seen[(await asker.get(host)).status] += 1
            await asyncio.sleep(_PAUSE_S)

    async with asyncio.TaskGroup() as tasks:
        clients = [tasks.create_task(client(number * len(hosts) // _CLIENTS)) for number in range(_CLIENTS)]
        yield seen
        for each in clients:
            each.cancel()
