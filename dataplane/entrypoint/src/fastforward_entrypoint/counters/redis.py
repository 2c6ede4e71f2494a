"""Counts in Redis, for several workers and replicas that share their limits.

In: requests' buckets. Out: verdicts, or that there are none in time. All buckets of a request are taken in one atomic
script, whole or not at all; requests that come while an exchange is under way go together in the next one. A request
waits on a future of its own, so one that gives up never disturbs a connection.

Nobody holds a place that was taken for a request that had given up, or by an exchange of which no answer came: it goes
back with a later exchange. So do places that could not be given back when their requests ended.

Keys are `ff:{LIMIT}KEY`, of quotas `ff:used:{LIMIT}KEY`: the braces keep the buckets of one limit in one slot. One
primary is expected (with or without replicas and failover): a request's buckets belong to several limits, which a Redis
Cluster would spread.
"""

import asyncio
import secrets
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count

import structlog
from fastforward_kit.backoff import Backoff
from fastforward_pipeline.effects import Answer, GiveBack, Slots, TakeTokens, Unavailable
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as LostError
from redis.exceptions import NoScriptError

from fastforward_entrypoint.counters.breaker import Breaker
from fastforward_entrypoint.counters.script import SHA, SOURCE, Asked, pack, unpack
from fastforward_entrypoint.redisfailure import FAILURES, is_cancelled, kind_of

log = structlog.get_logger(__name__)

MAX_BATCH = 128  # requests an exchange: the script runs some 5 us for each, and Redis does nothing else meanwhile
MAX_OWED = 10_000  # places to give back; of more the oldest are forgotten, whose leases end first


@dataclass(slots=True)
class _Waiting:
    """A request that waits for its counters."""

    asked: Asked
    future: asyncio.Future[Answer]
    timer: asyncio.TimerHandle


def connect(url: str, *, username: str | None, password: str | None, deadline: float) -> Redis:
    """Returns a client whose every step is bounded by `deadline` seconds. Connects when it is first used."""
    return Redis.from_url(
        url,
        username=username,
        password=password,
        socket_timeout=deadline,
        socket_connect_timeout=deadline,
        # A connection that Redis closed while nothing was asked is no failure: one more try, with a new one.
        retry=Retry(NoBackoff(), 1, supported_errors=(LostError,)),
        max_connections=2,
    )


class RedisCounterStore:
    """`run` does the asking and must be running. A dead Redis is asked by probes only, and costs requests nothing."""

    def __init__(self, client: Redis, *, deadline: float) -> None:
        self._client = client
        self._deadline = deadline
        self._queue: deque[_Waiting] = deque()
        self._owed: deque[GiveBack] = deque(maxlen=MAX_OWED)
        # Of all processes that ask, no two take a place by the same name.
        self._name, self._numbers = secrets.token_hex(8), count()
        self._asked = asyncio.Event()
        self.breaker = Breaker()
        self.errors: defaultdict[str, int] = defaultdict(int)
        """By kind: `late` requests; `lost`, `timeout` and `refused` exchanges."""

    def take(self, effect: TakeTokens) -> Answer | asyncio.Future[Answer]:
        """See the port. A Redis that is known to be dead is not waited for."""
        if self.breaker.is_open:
            self._owe(effect)
            return Unavailable()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        timer = loop.call_later(self._deadline, self._expire, future)
        self._queue.append(_Waiting(Asked(effect, f"{self._name}-{next(self._numbers)}"), future, timer))
        self._asked.set()
        return future

    async def run(self) -> None:
        """Exchanges with Redis until cancelled."""
        while not is_cancelled():
            await self._asked.wait()
            self._asked.clear()
            await self._exchange(self._next_batch())
            if self.breaker.is_open:
                await self._wait_until_it_answers()
            if self._queue:
                self._asked.set()

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    def _expire(self, future: asyncio.Future[Answer]) -> None:
        if not future.done():
            self.errors["late"] += 1
            future.set_result(Unavailable())

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        while self._queue and len(batch) < MAX_BATCH:
            waiting = self._queue.popleft()
            if waiting.future.done():  # whoever gave up is not counted
                self._owe(waiting.asked.effect)
            else:
                batch.append(waiting)
        return batch

    def _owe(self, effect: TakeTokens, taker: str = "") -> None:
        """Places go back later: those that are to be given back, and those that were taken by the name of `taker`."""
        for bucket in effect.buckets:
            if isinstance(bucket, GiveBack):
                self._owed.append(bucket)
            elif taker and isinstance(bucket, Slots):
                self._owed.append(GiveBack(bucket.key, taker))

    def _next_owed(self) -> Asked:
        owed = [self._owed.popleft() for _ in range(min(len(self._owed), MAX_BATCH))]
        return Asked(TakeTokens(tuple(owed)), "")

    async def _exchange(self, batch: list[_Waiting]) -> None:
        if not batch and not self._owed:
            return
        # What goes back comes first: it may be what the others lack.
        asked = [self._next_owed(), *(waiting.asked for waiting in batch)]
        keys, arguments = pack(asked)
        try:
            _, *verdicts = unpack(asked, await self._evaluate(keys, arguments))
        except (*FAILURES, ValueError) as error:
            self._failed(error)
            # The script may have run, or may yet.
            for effect, taker in asked:
                self._owe(effect, taker)
            self._give_up(batch)
            return
        self.breaker.succeeded()
        for waiting, verdict in zip(batch, verdicts, strict=True):
            waiting.timer.cancel()
            if waiting.future.done():
                self._owe(*waiting.asked)
            else:
                waiting.future.set_result(verdict)
        if self._owed:  # after a failure they wait for a request, or a probe
            self._asked.set()

    async def _evaluate(self, keys: list[str], arguments: list[str]) -> bytes:
        try:
            reply = await self._client.evalsha(SHA, len(keys), *keys, *arguments)
        except NoScriptError:  # flushed, restarted or failed over
            reply = await self._client.eval(SOURCE, len(keys), *keys, *arguments)
        if not isinstance(reply, bytes):
            raise ValueError(f"the script answered {type(reply).__name__}")  # handled as a failure
        return reply

    def _failed(self, error: Exception) -> None:
        kind = kind_of(error)
        self.errors[kind] += 1
        self.breaker.failed(lost=kind == "lost")
        log.warning("redis failed", why=repr(error), asking=not self.breaker.is_open)

    def _give_up(self, batch: Iterable[_Waiting]) -> None:
        for waiting in batch:
            waiting.timer.cancel()
            if not waiting.future.done():
                waiting.future.set_result(Unavailable())

    async def _wait_until_it_answers(self) -> None:
        backoff = Backoff(first=0.1, longest=2.0)
        while self.breaker.is_open and not is_cancelled():
            for waiting in self._queue:
                self._owe(waiting.asked.effect)
            self._give_up(self._queue)
            self._queue.clear()
            await asyncio.sleep(backoff.next_wait())
            try:
                await self._client.ping()
            except FAILURES:
                continue
            self.breaker.succeeded()
            self._asked.set()
            log.info("redis answers again")
