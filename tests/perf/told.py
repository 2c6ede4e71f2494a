"""What the operator tells of objects, followed by its stream of events, which comes without delay.

In: the port of its API. Out: a `Told`, whose `latest` is what is said of each object at the moment. Called by
benchmarks that wait until something is Programmed, or want to know the moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

_AGAIN_S = 0.05
_LONGEST_EVENT = 1 << 22
Name = tuple[str, str]
"""Kind and name."""
Hear = Callable[[Name, Mapping[str, Any]], None]
"""Told of an object; an empty mapping when it is gone."""


@dataclass(slots=True)
class Told:
    """Of one operator, also of the one that comes after it on the same port."""

    port: int
    hear: Hear = lambda _, __: None
    """Called with each event."""
    latest: dict[Name, Mapping[str, Any]] = field(default_factory=dict)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _followed: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None

    def programmed(self, kind: str, name: str) -> int:
        """The generation that is said to be programmed; 0 when none is."""
        said = (
            each for each in self.conditions(kind, name) if each["type"] == "Programmed" and each["status"] == "True"
        )
        return max((int(each["observedGeneration"]) for each in said), default=0)

    def conditions(self, kind: str, name: str) -> list[Mapping[str, Any]]:
        """All that is said of an object; nothing when it is not there."""
        return list(self.latest.get((kind, name), {}).get("conditions", ()))

    async def until(self, holds: Callable[[], bool], seconds: float = 30.0) -> None:
        """Returns when something is told after which it holds. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while not holds():
                if self._task is not None and self._task.done():
                    self._task.result()
                self._news.clear()
                await self._news.wait()

    async def until_followed(self, seconds: float = 120.0) -> None:
        """Returns when nothing that is told from now on is missed."""
        async with asyncio.timeout(seconds):
            await self._followed.wait()

    async def until_counted(self, kind: str, names: Collection[str], count: int, seconds: float) -> None:
        """Returns when so many proxies have all of these, and no others are connected. Asked for: no event tells."""
        wanted = {"ready": count, "total": count}
        async with asyncio.timeout(seconds), aiohttp.ClientSession(f"http://127.0.0.1:{self.port}") as session:
            while True:
                async with session.get("/v1/objects", params={"kind": kind}) as answer:
                    found = {each["name"]: each["proxies"] for each in (await answer.json())["objects"]}
                if all(found.get(name) == wanted for name in names):
                    return
                await asyncio.sleep(_AGAIN_S)

    def begin(self) -> asyncio.Task[None]:
        """Follow until it is cancelled; whoever waits is told when it fails."""
        self._task = asyncio.create_task(self._follow())
        self._task.add_done_callback(lambda _: self._news.set())
        return self._task

    async def _follow(self) -> None:
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(f"http://127.0.0.1:{self.port}", timeout=timeout) as session:
            while True:
                with contextlib.suppress(aiohttp.ClientError, OSError):
                    await self._follow_one(session)
                self._followed.clear()
                await asyncio.sleep(_AGAIN_S)

    async def _follow_one(self, session: aiohttp.ClientSession) -> None:
        async with session.get("/v1/events", read_bufsize=_LONGEST_EVENT) as response:
            # First the stream, then what was told before it began: nothing falls between.
            async with session.get("/v1/objects") as before:
                found = (await before.json())["objects"]
            self.latest = {(each["kind"], each["name"]): each for each in found}
            self._followed.set()
            self._news.set()
            event = ""
            async for line in response.content:
                if line.startswith(b"event: "):
                    event = line[7:].strip().decode()
                elif line.startswith(b"data: "):
                    self._take(event, json.loads(line[6:]))

    def _take(self, event: str, told: Mapping[str, Any]) -> None:
        name = (told["kind"], told["name"])
        if event == "gone":
            self.latest.pop(name, None)
            self.hear(name, {})
        else:
            self.latest[name] = told
            self.hear(name, told)
        self._news.set()


@asynccontextmanager
async def told(port: int, hear: Hear = lambda _, __: None) -> AsyncGenerator[Told]:
    """Followed while the block runs."""
    made = Told(port, hear)
    task = made.begin()
    try:
        await made.until_followed()
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
