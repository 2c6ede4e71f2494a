"""Remembers in PostgreSQL, for several workers and replicas: what it has told is on its disk.

In: claims and results. Out: what is known, or that nothing is in time. One statement, so one round trip, for each
question; the table makes itself, and rows that are over go in the background. Called by exchange.
"""

from fastforward_pipeline.effects import Unavailable
from fastforward_pipeline.message import Begin, Beginning, Finish
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool

from fastforward_entrypoint.messages.database import Database, Table, Values

_SWEPT = 1000  # rows a statement: none holds its locks for long
_TABLE = Table(
    lock=0x66665F6F6E6365,  # "ff_once"
    statements=(
        """CREATE TABLE IF NOT EXISTS ff_once (
      key text PRIMARY KEY, token text NOT NULL, print text NOT NULL, result bytea, ends timestamptz NOT NULL)""",
        "CREATE INDEX IF NOT EXISTS ff_once_ends ON ff_once (ends)",
    ),
    last="ff_once_ends",
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


class PostgresqlOnceStore:
    """`run` makes the table and must be running; until it is there, nothing can be remembered."""

    def __init__(self, pool: AsyncConnectionPool, *, deadline: float) -> None:
        self._database = Database(pool, deadline=deadline)

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
        """Returns the row, if any."""
        rows = await self._database.ask(statement, values)
        if isinstance(rows, Unavailable):
            return rows
        return rows[0] if rows else None

    async def run(self) -> None:
        """Makes the table, then takes out what is over, until cancelled."""
        await self._database.run(_TABLE, _sweep)

    async def close(self) -> None:
        """Closes the connections."""
        await self._database.close()


async def _sweep(connection: AsyncConnection) -> None:
    while (await connection.execute(_SWEEP, {"most": _SWEPT})).rowcount == _SWEPT:
        pass
