"""Which Events are written: one for each thing that is wrong with a version, whoever leads."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from aiohttp import ClientConnectionError
from fastforward_compiler.problem import ObjectRef
from fastforward_operator.kubernetes.client import ApiError, May
from fastforward_operator.kubernetes.events import AT_ONCE, EventWriter
from fastforward_operator.objectstatus import Condition, ObjectStatus

from support.eventually import eventually, meanwhile

ROUTE = ObjectRef(kind="Route", namespace="shop", name="cart")
THEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def refused(message: str, generation: int = 1) -> ObjectStatus:
    condition = Condition(
        type="Accepted",
        status="False",
        reason="InvalidMatch",
        message=message,
        observed_generation=generation,
        since=THEN,
    )
    return ObjectStatus(
        ref=ROUTE, generation=generation, source=None, conditions=(condition,), problems=(), effective=()
    )


class Scripted:
    """Stands for the API client: has one Route, takes each Event once."""

    def __init__(self) -> None:
        self.events: dict[str, Mapping[str, Any]] = {}
        self.asked = 0

    async def read(self, _: str) -> dict[str, Any]:
        metadata = {"name": "cart", "namespace": "shop", "uid": "u1", "resourceVersion": "1"}
        return {"apiVersion": "gateway.fastforward.dev/v1alpha1", "kind": "Route", "metadata": metadata}

    async def create(self, path: str, body: Mapping[str, Any], may: May) -> None:
        assert may()
        self.asked += 1
        name = f"{path}/{body['metadata']['name']}"
        if name in self.events:
            raise ApiError(409, "already exists")
        self.events[name] = body

    @property
    def messages(self) -> list[str]:
        return [body["message"] for body in self.events.values()]


@asynccontextmanager
async def telling(
    client: Any,  # noqa: ANN401 - a Scripted stands for a Client
    leads: Callable[[], bool] = lambda: True,
) -> AsyncGenerator[EventWriter]:
    writer = EventWriter(client, leads)
    async with meanwhile(writer.run()):
        yield writer


async def test_each_thing_that_is_wrong_with_a_version_is_told_once() -> None:
    client = Scripted()
    async with telling(client) as writer:
        for status in (refused("one"), refused("one"), refused("two"), refused("two", generation=2)):
            writer.observe(ROUTE, status)
        await eventually(lambda: client.messages == ["one", "two", "two"])


async def test_who_begins_to_lead_tells_what_nobody_told_and_repeats_nothing() -> None:
    client, leading = Scripted(), [False]
    async with telling(client, lambda: leading[0]) as writer:
        writer.observe(ROUTE, refused("one"))
        await asyncio.sleep(0.05)
        assert client.asked == 0
        leading[0] = True
        writer.write_all()
        await eventually(lambda: client.messages == ["one"])
    async with telling(client) as successor:
        successor.observe(ROUTE, refused("one"))
        await eventually(lambda: client.asked == 2)
        assert (client.messages, successor.lost) == (["one"], 0)


async def test_what_was_mended_meanwhile_is_not_told() -> None:
    client, leading = Scripted(), [False]
    async with telling(client, lambda: leading[0]) as writer:
        writer.observe(ROUTE, refused("one"))
        writer.observe(ROUTE, None)
        leading[0] = True
        writer.write_all()
        await asyncio.sleep(0.05)
    assert client.asked == 0


async def test_an_object_that_flaps_is_told_of_a_few_times() -> None:
    client = Scripted()
    async with telling(client) as writer:
        for generation in range(1, 101):
            writer.observe(ROUTE, refused("one", generation=generation))
        await eventually(lambda: len(client.messages) == AT_ONCE)
        assert writer.lost == 100 - AT_ONCE


async def test_what_came_up_while_a_term_had_ended_is_told_when_it_goes_on_and_nothing_else() -> None:
    client, leading = Scripted(), [True]
    async with telling(client, lambda: leading[0]) as writer:
        writer.observe(ROUTE, refused("one"))
        await eventually(lambda: client.messages == ["one"])
        leading[0] = False
        for message in ("mended", "two", "two"):
            writer.observe(ROUTE, refused(message))
        await asyncio.sleep(0)
        leading[0] = True
        writer.go_on()
        writer.go_on()
        await eventually(lambda: client.messages == ["one", "two"])
        writer.observe(ROUTE, refused("two"))
        await asyncio.sleep(0)
        assert (client.asked, writer.lost) == (2, 0)


async def test_an_event_that_was_under_way_when_the_term_ended_is_told_when_it_goes_on() -> None:
    client, leading = Scripted(), [True]
    create = client.create

    async def late(path: str, body: Mapping[str, Any], may: May) -> None:
        del path, body, may
        leading[0] = False
        raise ClientConnectionError

    client.create = late
    async with telling(client, lambda: leading[0]) as writer:
        writer.observe(ROUTE, refused("one"))
        await eventually(lambda: not leading[0])
        client.create, leading[0] = create, True
        writer.go_on()
        await eventually(lambda: client.messages == ["one"])
        assert writer.lost == 0
