"""Letters between processes of EntryPoint, over Redis: a channel for each process, and one for events.

In: letters for others. Out: theirs, as they come. Called by redis. Each process says every few seconds that it is
there; so whoever asks knows from whom an answer is missing. Nothing is kept: what is sent while nobody hears is lost.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable
from importlib import resources
from typing import NamedTuple

import structlog
from fastforward_kit.backoff import Backoff
from redis.asyncio import Redis

from fastforward_entrypoint.redisfailure import FAILURES, is_cancelled, kind_of

log = structlog.get_logger(__name__)

PROCESSES = "ff:processes"
CHANNEL = "ff:process:"
EVENTS = "ff:events"
LEASE_S = 10.0
BEAT_S = 2.0
QUEUED = 1000
"""Events that may wait for Redis; then they are dropped."""
_BATCH = 100
_DEAF_S = 3 * BEAT_S
_SCRIPTS = resources.files("fastforward_entrypoint.messages.connections")
_ANNOUNCE = _SCRIPTS.joinpath("announce.lua").read_text(encoding="utf-8")
_ASK = _SCRIPTS.joinpath("ask.lua").read_text(encoding="utf-8")


class Told(NamedTuple):
    """Who has been asked, and how many processes that are there could not be."""

    processes: frozenset[str]
    silent: int


class RedisWire:
    """`run` must be running. `hear` gets each letter. Every step of the client must be bounded in time."""

    def __init__(self, client: Redis, process: str, hear: Callable[[bytes], None]) -> None:
        self._client = client
        self._process = process
        self._hear = hear
        self._announce = client.register_script(_ANNOUNCE)
        self._ask = client.register_script(_ASK)
        self._outbox: deque[bytes] = deque()
        self._more = asyncio.Event()
        self._heard = 0.0
        """When it heard itself last, in the loop's time."""
        self._reading: asyncio.Task[None] | None = None
        self.errors: defaultdict[str, int] = defaultdict(int)
        """By kind: `lost`, `timeout` and `refused` exchanges; `events` that others have not been told."""

    async def ask(self, letter: bytes, to: str = "") -> Told | None:
        """Tells it to one process, or to all others; None when Redis can't be reached."""
        try:
            processes, silent = await self._ask([PROCESSES], [self._process, CHANNEL, letter, to])
        except FAILURES as error:
            self._failed(error)
            return None
        return Told(frozenset(each.decode() for each in processes), silent)

    async def answer(self, letter: bytes, to: str) -> None:
        """Tells it to the process that has asked, if that can be done."""
        try:
            await self._client.publish(CHANNEL + to, letter)
        except FAILURES as error:
            self._failed(error)

    def hand_on(self, letter: bytes) -> None:
        """Tells an event to all others, soon and in order; nobody waits for it."""
        if len(self._outbox) >= QUEUED:
            self.errors["events"] += 1
            return
        self._outbox.append(letter)
        self._more.set()

    async def run(self) -> None:
        """Until cancelled."""
        self._heard = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            tasks.create_task(self._keep_announcing())
            tasks.create_task(self._send())

    async def close(self) -> None:
        """Says that the process leaves, and closes the connections."""
        try:
            await self._client.zrem(PROCESSES, self._process)
        except FAILURES as error:
            self._failed(error)
        await self._client.aclose()

    async def _listen(self) -> None:
        backoff = Backoff(first=0.1, longest=2.0)
        while True:
            reading = self._reading = asyncio.create_task(self._read(backoff))
            try:
                await asyncio.wait({reading})
            finally:
                reading.cancel()
            if not reading.cancelled():
                self._failed(reading.exception())
            await asyncio.sleep(backoff.next_wait())

    async def _read(self, backoff: Backoff) -> None:
        async with self._client.pubsub(ignore_subscribe_messages=True) as letters:
            await letters.subscribe(CHANNEL + self._process, EVENTS)
            async for message in letters.listen():
                backoff.reset()
                letter = message["data"]
                if letter:
                    self._hear(letter)
                else:
                    self._heard = asyncio.get_running_loop().time()

    async def _keep_announcing(self) -> None:
        while not is_cancelled():
            try:
                await self._announce([PROCESSES], [self._process, int(LEASE_S * 1000), CHANNEL + self._process])
            except FAILURES as error:
                self._failed(error)
            else:
                self._listen_anew_if_deaf()
            await asyncio.sleep(BEAT_S)

    def _listen_anew_if_deaf(self) -> None:
        """A connection may be gone without either end knowing."""
        now = asyncio.get_running_loop().time()
        if now - self._heard > _DEAF_S and self._reading is not None:
            log.warning("nothing is heard from redis")
            self._heard = now
            self._reading.cancel()

    async def _send(self) -> None:
        while not is_cancelled():
            await self._more.wait()
            self._more.clear()
            while self._outbox:
                batch = [self._outbox.popleft() for _ in range(min(_BATCH, len(self._outbox)))]
                try:
                    async with self._client.pipeline(transaction=False) as pipeline:
                        for letter in batch:
                            pipeline.publish(EVENTS, letter)
                        await pipeline.execute()
                except FAILURES as error:
                    self.errors["events"] += len(batch)
                    self._failed(error)

    def _failed(self, error: BaseException | None) -> None:
        if error is not None and not isinstance(error, FAILURES):
            raise error
        self.errors[kind_of(error)] += 1
        log.warning("redis failed", why=repr(error))
