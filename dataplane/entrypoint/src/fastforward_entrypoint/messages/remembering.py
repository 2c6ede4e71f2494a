"""Which store remembers what messages with an idempotency key came to.

In: settings. Out: the store. Called by bootstrap. The clients cost a good part of a start:
only whoever uses one pays for it.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

from typing import Protocol

from fastforward_entrypoint.settings import Settings

from .once import InProcessOnceStore, OnceStore


class RunningOnceStore(OnceStore, Protocol):
    """A store with a life of its own."""

    async def run(self) -> None:
        """What it does beside, until cancelled."""
        ...

    async def close(self) -> None:
        """Lets go of what it holds."""
        ...


def open_once_store(settings: Settings) -> RunningOnceStore:
    """Returns the store; nothing is opened before it runs. PostgreSQL forgets least, then Redis. Raises OSError."""
    if settings.postgresql_url is not None:
        from .database import open_pool
        from .once.postgresql import PostgresqlOnceStore

        pool, deadline = open_pool(settings), settings.postgresql_deadline_seconds
        return PostgresqlOnceStore(pool, deadline=deadline)
    if settings.redis_url is not None:
        from .once.redis import RedisOnceStore, open_client

        deadline = settings.redis_deadline_seconds
        return RedisOnceStore(open_client(settings, deadline=deadline), deadline=deadline)
    return InProcessOnceStore()
