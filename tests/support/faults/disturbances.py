"""What may become of the events of a watch on their way: lost, late, twice, out of order, nothing at all.

In: a request and its events. Out: other events. Given to an ApiProxy by tests of failures. Chance has a seed, so that a
run can be repeated.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Mapping

from aiohttp import web

from .apiproxy import Disturb, Lines, Refuse

SHARE = 0.3
"""How many of the events something happens to."""
_LATE_S = 1.5
_WINDOW, _WINDOW_S = 6, 0.5


def _chance(request: web.Request) -> random.Random:
    return random.Random(request.path_qs)


async def lose(request: web.Request, events: Lines) -> Lines:
    """Some never come; the last of a burst among them."""
    chance = _chance(request)
    async for line in events:
        if chance.random() > SHARE or b'"BOOKMARK"' in line:
            yield line


async def delay(request: web.Request, events: Lines) -> Lines:
    """Some come late, and all that come after them too."""
    chance = _chance(request)
    async for line in events:
        if chance.random() < SHARE:
            await asyncio.sleep(_LATE_S * chance.random())
        yield line


async def repeat(request: web.Request, events: Lines) -> Lines:
    """Any that came before may come again, after others."""
    chance, before = _chance(request), []
    async for line in events:
        yield line
        before.append(line)
        while chance.random() < SHARE:
            yield chance.choice(before)


async def reorder(request: web.Request, events: Lines) -> Lines:
    """Those that come soon after each other come in another order."""
    chance = _chance(request)
    async for some in _windows(events):
        chance.shuffle(some)
        for line in some:
            yield line


async def _windows(events: Lines) -> AsyncIterator[list[bytes]]:
    """Events in lists, each of what came within a moment."""
    queue: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def read() -> None:
        async for line in events:
            queue.put_nowait(line)
        queue.put_nowait(None)

    reader = asyncio.create_task(read())
    try:
        while (line := await queue.get()) is not None:
            some = [line]
            await asyncio.sleep(_WINDOW_S)
            while len(some) < _WINDOW and not queue.empty() and (line := queue.get_nowait()) is not None:
                some.append(line)
            yield some
            if line is None:
                return
    finally:
        reader.cancel()


async def cut(request: web.Request, events: Lines) -> Lines:
    """The watch ends amid an event."""
    chance = _chance(request)
    async for line in events:
        if chance.random() < SHARE:
            yield line[: len(line) // 2]
            return
        yield line


async def too_old(request: web.Request, events: Lines) -> Lines:
    """The watch says now and then that it is too old."""
    chance = _chance(request)
    async for line in events:
        yield line
        if chance.random() < SHARE:
            yield json.dumps({"type": "ERROR", "object": {"code": 410, "message": "too old", "metadata": {}}}).encode()
            return


async def never(_: web.Request, events: Lines) -> Lines:
    """Nothing comes, not even the end."""
    async for line in events:
        await asyncio.Event().wait()
        yield line


DISTURBANCES: Mapping[str, Disturb] = {
    "lost": lose,
    "late": delay,
    "twice": repeat,
    "out of order": reorder,
    "cut off": cut,
    "too old": too_old,
}


def refusing(status: int, share: float = 0.5) -> Refuse:
    """Some requests of every kind are refused."""
    chance = random.Random(status)

    async def refuse(request: web.Request) -> web.Response | None:
        if "/leases" in request.path or chance.random() > share:
            return None
        headers = {"retry-after": "1"} if status == 429 else {}
        told = {"kind": "Status", "code": status, "message": "not now"}
        return web.json_response(told, status=status, headers=headers)

    return refuse


class StaleLists:
    """Answers lists as they were when it was made to, for some time."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.stale = False
        self.answered = 0

    def keep(self, path: str, body: bytes) -> None:
        """What a list answered."""
        if not self.stale:
            self.kept[path] = body

    async def refuse(self, request: web.Request) -> web.Response | None:
        if not self.stale or request.method != "GET" or "watch" in request.query or request.path_qs not in self.kept:
            return None
        self.answered += 1
        return web.Response(body=self.kept[request.path_qs], content_type="application/json")
