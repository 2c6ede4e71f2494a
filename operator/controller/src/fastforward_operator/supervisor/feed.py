"""What the operator says of every resource and proxy, kept up to date.

In: the operator's API (objects, proxies, its stream of events). Out: rows for the screen. Called by supervisor/up. An
operator that is being restarted leaves the rows as they were.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from .loopback import ask, split_url, streaming
from .readiness import until
from .screen import ObjectRow

_AGAIN_S = 0.5
_PROXIES_S = 1.0
_SETTLED = ("True", "False")
_WAITING_FOR = ("NoProxies", "NoDecisionService")
"""Reasons that go away by themselves while everything starts."""


class StatusFeed:
    """`rows` and `proxies` are as the operator saw them last."""

    def __init__(self, api: str) -> None:
        self._address, _ = split_url(api)
        self._objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.proxies: Sequence[str] = ()

    @property
    def rows(self) -> list[ObjectRow]:
        """Every resource, sorted."""
        return [_row(self._objects[key]) for key in sorted(self._objects)]

    async def until_settled(self) -> None:
        """Wait until the operator has judged every object with a proxy and a decision service connected."""

        async def settled() -> bool:
            try:
                ready = (await ask(self._address, "/readyz")).status == 200
                if not ready or not await self._read_objects() or not all(map(_is_settled, self._objects.values())):
                    return False
                await self._read_proxies()
            except (OSError, ValueError):
                return False
            return True

        await until(settled)

    async def follow(self) -> None:
        """Keep rows and proxies up to date; ends only by cancellation."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_objects())
            tasks.create_task(self._follow_proxies())

    async def _follow_objects(self) -> None:
        while True:
            with contextlib.suppress(OSError, ValueError):
                async with streaming(self._address, "/v1/events") as lines:
                    # Read when the stream has begun: nothing that changes meanwhile is missed.
                    await self._read_objects()
                    await self._follow_events(lines)
            await asyncio.sleep(_AGAIN_S)

    async def _follow_events(self, lines: AsyncIterator[str]) -> None:
        event = ""
        async for line in lines:
            name, _, value = line.partition(": ")
            if name == "event":
                event = value
            elif name == "data":
                self._take(event, json.loads(value))

    async def _follow_proxies(self) -> None:
        while True:
            with contextlib.suppress(OSError, ValueError):
                await self._read_proxies()
            await asyncio.sleep(_PROXIES_S)

    async def _read_objects(self) -> bool:
        answer = await ask(self._address, "/v1/objects")
        if answer.status != 200:
            return False
        self._objects = {_key(found): found for found in json.loads(answer.body)["objects"]}
        return True

    async def _read_proxies(self) -> None:
        answer = json.loads((await ask(self._address, "/v1/proxies")).body)
        self.proxies = sorted(f"{node['node']} {node['state']}" for node in answer["proxies"])

    def _take(self, event: str, value: dict[str, Any]) -> None:
        if event == "gone":
            self._objects.pop(_key(value), None)
        else:
            self._objects[_key(value)] = value


def _key(value: dict[str, Any]) -> tuple[str, str, str]:
    return value["kind"], value["namespace"], value["name"]


def _programmed(value: dict[str, Any]) -> dict[str, str]:
    return next(condition for condition in value["conditions"] if condition["type"] == "Programmed")


def _is_settled(value: dict[str, Any]) -> bool:
    programmed = _programmed(value)
    return programmed["status"] in _SETTLED and programmed["reason"] not in _WAITING_FOR


def _row(value: dict[str, Any]) -> ObjectRow:
    programmed = _programmed(value)
    worst = next((c for c in value["conditions"] if c["status"] == "False"), programmed)
    at = next((problem["at"] for problem in value["problems"] if problem["at"]), "")
    # As the user would name it, and first: whatever is cut off at the end, the place is not.
    where = f"{at.removeprefix(f'{Path.cwd()}/')}: " if at and worst["status"] == "False" else ""
    name = f"{value['namespace']}/{value['name']}" if value["namespace"] else value["name"]
    return ObjectRow(
        name=f"{value['kind']} {name}",
        programmed=programmed["status"],
        good=all(condition["status"] == "True" for condition in value["conditions"]),
        reason=worst["reason"],
        message=f"{where}{worst['message']}",
        proxies=f"{value['proxies']['ready']}/{value['proxies']['total']}",
    )
