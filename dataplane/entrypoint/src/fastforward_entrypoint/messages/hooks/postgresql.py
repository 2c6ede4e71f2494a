"""Keeps events in PostgreSQL: they survive whoever was to deliver them, and any worker or replica delivers them.

In: events, and how deliveries went. Out: what is due. A row for each event and hook. Who takes some moves the time at
which they are due on by the lease, so that nothing stays locked while a receiver is asked. Called by the courier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from fastforward_pipeline.effects import Unavailable
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from fastforward_entrypoint.messages.database import Database, Table

from .port import Dead, Delivered, Delivery, Later, Letter, Outcome, Wish

WAITING = 100_000
"""Events that may wait for one hook; when there are more, the oldest are dropped."""
_SWEPT = 1000  # rows a statement: none holds its locks for long
_TABLE = Table(
    lock=0x66665F6F7574626F,  # "ff_outbo"
    statements=(
        """CREATE TABLE IF NOT EXISTS ff_outbox (
      event text NOT NULL, hook text NOT NULL, body bytea NOT NULL, known boolean NOT NULL,
      state text NOT NULL DEFAULT 'waiting', tries integer NOT NULL DEFAULT 0, why text NOT NULL DEFAULT '',
      made timestamptz NOT NULL DEFAULT now(), due timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (event, hook))""",
        "CREATE INDEX IF NOT EXISTS ff_outbox_waiting ON ff_outbox (hook, due) WHERE state = 'waiting'",
        "CREATE INDEX IF NOT EXISTS ff_outbox_dead ON ff_outbox (hook, due) WHERE state = 'dead'",
        "CREATE INDEX IF NOT EXISTS ff_outbox_delivered ON ff_outbox (due) WHERE state = 'delivered'",
        "CREATE INDEX IF NOT EXISTS ff_outbox_made ON ff_outbox (made)",
    ),
    last="ff_outbox_made",
)
_KEEP = """
INSERT INTO ff_outbox (event, hook, body, known)
SELECT %(event)s::text, hook, %(body)s::bytea, %(known)s::boolean FROM unnest(%(hooks)s::text[]) AS hook
ON CONFLICT DO NOTHING
"""
_CLAIM = """
WITH wanted AS (
  SELECT * FROM unnest(%(hooks)s::text[], %(most)s::integer[], %(leases)s::float8[]) AS wish (hook, most, lease_s)
), found AS MATERIALIZED (
  SELECT next.event, wanted.hook, wanted.lease_s FROM wanted CROSS JOIN LATERAL (
    SELECT event FROM ff_outbox AS kept WHERE kept.hook = wanted.hook AND state = 'waiting' AND due <= now()
    ORDER BY due LIMIT wanted.most FOR UPDATE SKIP LOCKED) AS next
)
UPDATE ff_outbox AS kept SET due = now() + found.lease_s * interval '1 second'
FROM found WHERE kept.event = found.event AND kept.hook = found.hook
RETURNING kept.event, kept.hook, kept.body, kept.tries
"""
_THIS = "event = %(event)s AND hook = %(hook)s AND state = 'waiting'"
_DELIVERED = f"""
WITH gone AS (DELETE FROM ff_outbox WHERE {_THIS} AND NOT known)
UPDATE ff_outbox SET state = 'delivered', body = '', due = now(), why = '' WHERE {_THIS} AND known
"""  # noqa: S608 - of constants
_LATER = f"""
UPDATE ff_outbox SET tries = %(tries)s, why = %(why)s, due = now() + %(wait)s * interval '1 second' WHERE {_THIS}
"""  # noqa: S608
# The statement sees the other dead letters only: it leaves room for this one.
_DEAD = f"""
WITH dead AS (UPDATE ff_outbox SET state = 'dead', tries = %(tries)s, why = %(why)s, due = now() WHERE {_THIS})
DELETE FROM ff_outbox WHERE hook = %(hook)s AND state = 'dead' AND event IN (
  SELECT event FROM ff_outbox WHERE hook = %(hook)s AND state = 'dead' ORDER BY due DESC OFFSET %(others)s)
"""  # noqa: S608
_NOT_KEPT = f"DELETE FROM ff_outbox WHERE {_THIS}"  # noqa: S608
_SWEEPS = tuple(
    f"DELETE FROM ff_outbox WHERE (event, hook) IN (SELECT event, hook FROM ff_outbox WHERE {over}"  # noqa: S608
    " LIMIT %(most)s FOR UPDATE SKIP LOCKED)"
    for over in ("state = 'delivered' AND due <= now() - interval '1 day'", "made <= now() - interval '30 days'")
)
_CROWDED = """
DELETE FROM ff_outbox AS kept USING (
  SELECT oldest.event, crowded.hook FROM (
    SELECT hook FROM ff_outbox WHERE state = 'waiting' GROUP BY hook HAVING count(*) > %(waiting)s) AS crowded
  CROSS JOIN LATERAL (
    SELECT event FROM ff_outbox AS each WHERE each.hook = crowded.hook AND state = 'waiting'
    ORDER BY made DESC OFFSET %(waiting)s) AS oldest) AS gone
WHERE kept.event = gone.event AND kept.hook = gone.hook AND kept.state = 'waiting'
RETURNING kept.hook
"""


class PostgresqlOutbox:
    """`run` makes the table and must be running; until it is there, nothing can be kept."""

    def __init__(
        self, pool: AsyncConnectionPool, *, deadline: float, dropped: Callable[[str, int], None], waiting: int = WAITING
    ) -> None:
        """`dropped` is told of which hook so many events are dropped."""
        self._database = Database(pool, deadline=deadline)
        self._dropped = dropped
        self._waiting = waiting

    async def keep(self, letter: Letter, hooks: Sequence[str]) -> Sequence[str] | Unavailable:
        """See the port."""
        values = {"event": letter.event, "hooks": list(hooks), "body": letter.body, "known": letter.known}
        told = await self._database.ask(_KEEP, values)
        return told if isinstance(told, Unavailable) else ()

    async def claim(self, wishes: Iterable[Wish]) -> Sequence[Delivery] | Unavailable:
        """See the port."""
        wanted = list(wishes)
        values = {
            "hooks": [each.hook for each in wanted],
            "most": [each.most for each in wanted],
            "leases": [each.lease_s for each in wanted],
        }
        rows = await self._database.ask(_CLAIM, values)
        return rows if isinstance(rows, Unavailable) else [Delivery(*row) for row in rows]

    async def settle(self, delivery: Delivery, outcome: Outcome) -> Unavailable | None:
        """See the port. Who comes when its lease is over finds what another one has said, and leaves it."""
        values: dict[str, object] = {"event": delivery.event, "hook": delivery.hook}
        match outcome:
            case Delivered():
                statement = _DELIVERED
            case Later(wait_s=wait_s, tries=tries, why=why):
                statement = _LATER
                values |= {"wait": wait_s, "tries": tries, "why": why}
            case Dead(kept=0):
                statement = _NOT_KEPT
            case Dead(tries=tries, why=why, kept=kept):
                statement = _DEAD
                values |= {"tries": tries, "why": why, "others": kept - 1}
        told = await self._database.ask(statement, values)
        return told if isinstance(told, Unavailable) else None

    def forget(self, hook: str) -> int:
        """Nothing: whoever knows the hook may still deliver, and what nobody delivers goes after 30 days."""
        del hook
        return 0

    async def run(self) -> None:
        """Makes the table, then takes out what is over, or too much, until cancelled."""
        await self._database.run(_TABLE, self._sweep)

    async def _sweep(self, connection: AsyncConnection) -> None:
        for statement in _SWEEPS:
            while (await connection.execute(statement.encode(), {"most": _SWEPT})).rowcount == _SWEPT:
                pass
        rows = await (await connection.execute(_CROWDED, {"waiting": self._waiting})).fetchall()
        for (hook,) in rows:
            self._dropped(hook, 1)

    async def close(self) -> int:
        """Closes the connections; nothing is lost."""
        await self._database.close()
        return 0
