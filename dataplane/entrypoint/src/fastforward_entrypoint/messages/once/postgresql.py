"""Remembers in PostgreSQL, for several workers and replicas: what it has told is on its disk.

In: claims and results. Out: what is known, or that nothing is in time. One statement, so one round trip, for each
question; the table makes itself, and rows that are over go in the background. Called by exchange.
"""

import asyncio
from collections.abc import Mapping

import structlog
from fastforward_kit.backoff import Backoff
from fastforward_pipeline.effects import Unavailable
from fastforward_pipeline.message import Begin, Beginning, Finish
from psycopg import AsyncConnection, Error
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout

log = structlog.get_logger(__name__)

CONNECTIONS = 8
SWEEP_S = 60.0
_SWEPT = 1000  # rows a statement: none holds its locks for long
_LOCK = 0x66665F6F6E6365  # "ff_once": one process at a time makes the table
_TABLE = (
    """CREATE TABLE IF NOT EXISTS ff_once (
      key text PRIMARY KEY, token text NOT NULL, print text NOT NULL, result bytea, ends timestamptz NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS ff_once_ends ON ff_once (ends)",
)
_FREE = "kept.ends <= now() OR kept.token = excluded.token"
# Of two at once the second waits for the first one's row, and is told what is in it: hence the update that may change
# nothing.
_BEGIN = f"""
INSERT INTO ff_once AS kept (key, token, print, ends)
VALUES (%(key)s, %(token)s, %(print)s, now() + %(seconds)s * interval '1 second')
ON CONFLICT (key) DO UPDATE SET
  token = CASE WHEN {_FREE} THEN excluded.token ELSE kept.token END,
  print = CASE WHEN {_FREE} THEN excluded.print ELSE kept.print END,
  result = CASE WHEN {_FREE} THEN NULL ELSE kept.result END,
  ends = CASE WHEN {_FREE} THEN excluded.ends ELSE kept.ends END
RETURNING token, print, result
"""  # noqa: S608 - of constants
_FINISH = """
INSERT INTO ff_once AS kept (key, token, print, result, ends)
VALUES (%(key)s, %(token)s, %(print)s, %(result)s, now() + %(seconds)s * interval '1 second')
ON CONFLICT (key) DO UPDATE SET token = excluded.token, print = excluded.print, result = excluded.result,
  ends = excluded.ends
WHERE kept.token = excluded.token OR kept.ends <= now()
RETURNING token
"""
_FORGET = "DELETE FROM ff_once WHERE key = %(key)s AND token = %(token)s RETURNING token"
_SWEEP = """
DELETE FROM ff_once WHERE key IN (
  SELECT key FROM ff_once WHERE ends <= now() ORDER BY ends LIMIT %(most)s FOR UPDATE SKIP LOCKED)
"""
Values = Mapping[str, object]


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


class PostgresqlOnceStore:
    """`run` makes the table and must be running; until it is there, nothing can be remembered."""

    def __init__(self, pool: AsyncConnectionPool, *, deadline: float) -> None:
        self._pool = pool
        self._deadline = deadline
        self._asking: set[asyncio.Future[TupleRow | None]] = set()

    async def begin(self, asked: Begin) -> Beginning | Unavailable:
        """See the port."""
        claim = asked.claim
        values = {"key": claim.key, "token": claim.token, "print": claim.print, "seconds": asked.lease_s}
        match await self._ask(_BEGIN, values):
            case (claim.token, _, _):
                return Beginning(first=True)
            case (str(), str() as print_, (bytes() | None) as result):
                return Beginning(first=False, print=print_, result=result)
            case _:
                return Unavailable()

    async def finish(self, asked: Finish) -> bool | Unavailable:
        """See the port."""
        claim = asked.claim
        values: dict[str, object] = {"key": claim.key, "token": claim.token}
        if asked.result is None:
            told = await self._ask(_FORGET, values)
        else:
            values |= {"print": claim.print, "result": asked.result, "seconds": asked.keep_s}
            told = await self._ask(_FINISH, values)
        return told if isinstance(told, Unavailable) else told is not None

    async def _ask(self, statement: str, values: Values) -> TupleRow | Unavailable | None:
        """Returns the row, if any. One that is late is given up, not waited for: cancelling takes time of its own."""
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

    async def _fetch(self, statement: str, values: Values) -> TupleRow | None:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(statement.encode(), values)
            return await cursor.fetchone()

    def _forget(self, asking: asyncio.Future[TupleRow | None]) -> None:
        self._asking.discard(asking)
        if not asking.cancelled():
            asking.exception()  # whoever still waits looks at it, too

    async def run(self) -> None:
        """Makes the table, then takes out what is over, until cancelled."""
        await self._pool.open()
        backoff = Backoff(first=0.1, longest=2.0)
        there = False
        while True:
            try:
                async with self._pool.connection(timeout=2.0) as connection:
                    if not there:
                        await _make_table(connection)
                        there = True
                        backoff.reset()
                    while (await connection.execute(_SWEEP, {"most": _SWEPT})).rowcount == _SWEPT:
                        pass
                await asyncio.sleep(SWEEP_S)
            except (Error, OSError, PoolTimeout) as error:
                log.warning("postgresql failed", why=str(error).strip())
                await asyncio.sleep(backoff.next_wait())

    async def close(self) -> None:
        """Closes the connections."""
        for asking in list(self._asking):
            asking.cancel()
        await self._pool.close(timeout=1.0)


async def _make_table(connection: AsyncConnection) -> None:
    """Whoever may not make tables finds one that is there."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        found = await (await connection.execute("SELECT to_regclass('ff_once_ends')")).fetchone()
        if found is None or found[0] is None:
            for statement in _TABLE:
                await connection.execute(statement)
