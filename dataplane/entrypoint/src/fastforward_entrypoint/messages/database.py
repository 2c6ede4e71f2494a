"""PostgreSQL, as stores of messages ask it: one statement, so one round trip, for each question, and a deadline.

In: statements. Out: rows, or that nothing is there in time. Called by the stores in `once` and `hooks`, each with
connections of its own. Tables make themselves, and what is over goes in the background.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog
from fastforward_kit.backoff import Backoff
from fastforward_pipeline.effects import Unavailable
from psycopg import AsyncConnection, Error
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from fastforward_entrypoint.settings import Settings

log = structlog.get_logger(__name__)

CONNECTIONS = 8
SWEEP_S = 60.0
Values = Mapping[str, object]
Sweep = Callable[[AsyncConnection], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its indexes, of which `last` is made last; `lock` is who makes it: one process at a time."""

    lock: int
    statements: tuple[str, ...]
    last: str


def make_pool(url: str, *, username: str | None, password: str | None, deadline: float) -> AsyncConnectionPool:
    """Returns a pool that is opened by the store's `run`."""
    who = {name: value for name, value in (("user", username), ("password", password)) if value is not None}
    return AsyncConnectionPool(
        url,
        kwargs={**who, "autocommit": True, "connect_timeout": 2, "application_name": "fastforward-entrypoint"},
        min_size=1,
        max_size=CONNECTIONS,
        timeout=deadline,
        # The longest that the pool waits for a server that is away, before the next question makes it try anew.
        reconnect_timeout=2.0,
        open=False,
    )


def open_pool(settings: Settings) -> AsyncConnectionPool:
    """Returns a pool by the settings, which name PostgreSQL. Raises OSError."""
    return make_pool(
        settings.postgresql_url or "",
        username=settings.postgresql_username,
        password=settings.postgresql_password(),
        deadline=settings.postgresql_deadline_seconds,
    )


class Database:
    """`run` makes the table and must be running; until it is there, nothing can be asked."""

    def __init__(self, pool: AsyncConnectionPool, *, deadline: float) -> None:
        self._pool = pool
        self._deadline = deadline
        self._asking: set[asyncio.Future[Sequence[TupleRow]]] = set()

    async def ask(self, statement: str, values: Values) -> Sequence[TupleRow] | Unavailable:
        """Returns the rows. One that is late is given up, not waited for: cancelling takes time of its own."""
        asking = asyncio.ensure_future(self._fetch(statement, values))
        self._asking.add(asking)
        asking.add_done_callback(self._forget)
        await asyncio.wait({asking}, timeout=self._deadline)
        if not asking.done():
            asking.cancel()
            log.warning("postgresql is late", deadline_s=self._deadline)
            return Unavailable()
        error = asking.exception()
        if error is None:
            return asking.result()
        if not isinstance(error, Error | OSError | TimeoutError):
            raise error
        log.warning("postgresql failed", why=str(error).strip())
        return Unavailable()

    async def _fetch(self, statement: str, values: Values) -> Sequence[TupleRow]:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(statement.encode(), values)
            return await cursor.fetchall() if cursor.description is not None else []

    def _forget(self, asking: asyncio.Future[Sequence[TupleRow]]) -> None:
        self._asking.discard(asking)
        if not asking.cancelled():
            asking.exception()  # whoever still waits looks at it, too

    async def run(self, table: Table, sweep: Sweep) -> None:
        """Makes the table, then sweeps it now and then, until cancelled."""
        await self._pool.open()
        backoff = Backoff(first=0.1, longest=2.0)
        there = False
        while True:
            try:
                async with self._pool.connection(timeout=2.0) as connection:
                    if not there:
                        await _make_table(connection, table)
                        there = True
                        backoff.reset()
                    await sweep(connection)
                await asyncio.sleep(SWEEP_S)
            except (Error, OSError, PoolTimeout) as error:
                log.warning("postgresql failed", why=str(error).strip())
                await asyncio.sleep(backoff.next_wait())

    async def close(self) -> None:
        """Closes the connections."""
        for asking in list(self._asking):
            asking.cancel()
        await self._pool.close(timeout=1.0)


async def _make_table(connection: AsyncConnection, table: Table) -> None:
    """Whoever may not make tables finds one that is there."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (table.lock,))
        found = await (await connection.execute("SELECT to_regclass(%s)", (table.last,))).fetchone()
        if found is None or found[0] is None:
            for statement in table.statements:
                await connection.execute(statement.encode())
