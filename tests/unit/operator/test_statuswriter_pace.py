"""How many statuses are written at a time, and how often those of one object."""

import asyncio
from dataclasses import replace

import pytest
from fastforward_operator.kubernetes import statuswriter

from support.eventually import eventually
from support.statuswriting import ROUTE, Scripted, status, writing

_ALL = statuswriter.WRITERS + statuswriter.ALONE


async def test_an_object_that_flaps_is_written_a_few_times_and_ends_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statuswriter, "INTERVAL_S", 0.2)
    client = Scripted()
    async with writing(client) as writer:
        for generation in range(1, 101):
            writer.observe(ROUTE, status("True", "Programmed", generation=generation))
            await asyncio.sleep(0)
        await eventually(lambda: client.generations()[-1:] == [100])
        assert len(client.applied) <= 2 * statuswriter.AT_ONCE


async def test_while_others_write_much_one_status_at_a_time_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statuswriter, "CROWDED_S", 3600.0)
    client = Scripted()
    client.open.clear()
    refs = [replace(ROUTE, name=f"r{number}") for number in range(statuswriter.MANY)]
    async with writing(client) as writer:
        for ref in refs:
            writer.observe(ref, status("True", "Programmed", ref=ref))
        await eventually(lambda: client.under_way == _ALL)
        for ref in refs:
            writer.recall(replace(ref, namespace="others"), {}, "1")
        client.open.set()
        await eventually(lambda: len(client.applied) > _ALL)
        client.most = 0
        await eventually(lambda: len(client.applied) == len(refs))
        assert client.most == 1


async def test_as_soon_as_somebody_else_writes_fewer_statuses_are_under_way() -> None:
    client = Scripted()
    client.open.clear()
    refs = [replace(ROUTE, name=f"r{number}") for number in range(60)]
    async with writing(client) as writer:
        writer.recall(replace(ROUTE, namespace="others"), {}, "1")
        for ref in refs:
            writer.observe(ref, status("True", "Programmed", ref=ref))
        await eventually(lambda: client.under_way == statuswriter.WRITERS)
        client.open.set()
        await eventually(lambda: len(client.applied) == len(refs))
        assert client.most == statuswriter.WRITERS


async def test_when_nobody_else_has_written_for_a_while_more_are_under_way_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(statuswriter, "ALONE_S", 0.05)
    client = Scripted()
    client.open.clear()
    refs = [replace(ROUTE, name=f"r{number}") for number in range(60)]
    async with writing(client) as writer:
        writer.recall(replace(ROUTE, namespace="others"), {}, "1")
        for ref in refs:
            writer.observe(ref, status("True", "Programmed", ref=ref))
        await eventually(lambda: client.under_way == _ALL)
