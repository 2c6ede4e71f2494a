"""Remembers in Redis, for several workers and replicas: one script, so one round trip, for each question.

In: claims and results. Out: what is known, or that nothing is in time. Keys are `ff:once:KEY`, and expire by
themselves. What Redis loses (a crash without an append-only file, a failover before replication, an eviction) is
forgotten: where that must not be, `postgresql` remembers.
"""

import asyncio
from collections.abc import Awaitable
from importlib import resources

import structlog
from fastforward_pipeline.effects import Unavailable
from fastforward_pipeline.message import Begin, Beginning, Finish
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as LostError
from redis.exceptions import RedisError

from fastforward_entrypoint.settings import Settings

log = structlog.get_logger(__name__)

KEY_PREFIX = "ff:once:"
CONNECTIONS = 16
_SCRIPTS = resources.files("fastforward_entrypoint.messages.once")
_BEGIN = _SCRIPTS.joinpath("begin.lua").read_text(encoding="utf-8")
_FINISH = _SCRIPTS.joinpath("finish.lua").read_text(encoding="utf-8")


def connect(url: str, *, username: str | None, password: str | None, deadline: float) -> Redis:
    """Returns a client whose every step is bounded by `deadline` seconds. Connects when it is first used."""
    # What the pool is told of nobody it must not be told at all: the URL may say it.
    who = {name: value for name, value in (("username", username), ("password", password)) if value is not None}
    pool = BlockingConnectionPool.from_url(
        url,
        **who,
        socket_timeout=deadline,
        socket_connect_timeout=deadline,
        # A connection that Redis closed while nothing was asked is no failure; claims may be asked again.
        retry=Retry(NoBackoff(), 1, supported_errors=(LostError,)),
        max_connections=CONNECTIONS,
        timeout=deadline,
    )
    return Redis.from_pool(pool)


def open_client(settings: Settings, *, deadline: float) -> Redis:
    """Returns a client by the settings, which name Redis. Raises OSError."""
    return connect(
        settings.redis_url or "",
        username=settings.redis_username,
        password=settings.redis_password(),
        deadline=deadline,
    )


class RedisOnceStore:
    """A question that its asker gives up goes on to its end, so that no connection is left in the midst of one."""

    def __init__(self, client: Redis, *, deadline: float) -> None:
        self._client = client
        self._deadline = deadline
        self._begin = client.register_script(_BEGIN)
        self._finish = client.register_script(_FINISH)
        self._asking: set[asyncio.Future[object]] = set()

    async def begin(self, asked: Begin) -> Beginning | Unavailable:
        """See the port."""
        claim = asked.claim
        arguments = [claim.token, claim.print, _milliseconds(asked.lease_s)]
        known = await self._ask(self._begin([KEY_PREFIX + claim.key], arguments))
        match known:
            case None:
                return Beginning(first=True)
            case [bytes() as print_, (bytes() | None) as result]:
                return Beginning(first=False, print=print_.decode(), result=result)
            case _:
                return Unavailable()

    async def finish(self, asked: Finish) -> bool | Unavailable:
        """See the port."""
        claim = asked.claim
        arguments: list[str | bytes] = [claim.token, claim.print, _milliseconds(asked.keep_s)]
        if asked.result is not None:
            arguments.append(asked.result)
        done = await self._ask(self._finish([KEY_PREFIX + claim.key], arguments))
        return done if isinstance(done, Unavailable) else done == 1

    async def _ask(self, question: Awaitable[object]) -> object:
        asking = asyncio.ensure_future(question)
        self._asking.add(asking)
        asking.add_done_callback(self._forget)
        await asyncio.wait({asking}, timeout=self._deadline)
        if not asking.done():
            log.warning("redis is late", deadline_s=self._deadline)
            return Unavailable()
        error = asking.exception()
        if error is None:
            return asking.result()
        if not isinstance(error, RedisError | OSError | TimeoutError):
            raise error
        log.warning("redis failed", why=repr(error))
        return Unavailable()

    def _forget(self, asking: asyncio.Future[object]) -> None:
        self._asking.discard(asking)
        if not asking.cancelled():
            asking.exception()  # whoever still waits looks at it, too

    async def run(self) -> None:
        """There is nothing to do beside: keys expire by themselves."""

    async def close(self) -> None:
        """Closes the connections."""
        for asking in list(self._asking):
            asking.cancel()
        await self._client.aclose()


def _milliseconds(seconds: float) -> str:
    return str(max(1, int(seconds * 1000)))
