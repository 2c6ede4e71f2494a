"""What was said once and is there no more, or should be there no more: it is said, or taken back, again."""

import asyncio

import pytest
from fastforward_compiler.problem import ObjectRef
from fastforward_crds.gatewayapi import CONTROLLER
from fastforward_operator.kubernetes import statuswriter
from fastforward_operator.kubernetes.client import ApiError

from support.eventually import eventually
from support.statuswriting import HTTP_ROUTE, ROUTE, Scripted, attached, entry, status, writing

OTHER = {"conditions": [{"type": "Programmed", "status": "False", "reason": "Other", "message": ""}]}
OURS = {"parents": [entry("ours", CONTROLLER), entry("theirs")]}


async def test_a_status_that_somebody_else_overwrites_is_said_again() -> None:
    client = Scripted()
    async with writing(client) as writer:
        writer.recall(ROUTE, {}, "1")
        writer.observe(ROUTE, status("True", "Programmed"))
        await eventually(lambda: client.applied)
        writer.recall(ROUTE, OTHER, "11")
        await eventually(lambda: len(client.applied) == 2)
        assert client.applied[0] == client.applied[1]
        assert client.versions == ["1", "11"]


async def test_a_status_that_stays_as_it_was_is_not_said_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statuswriter, "AGAIN_S", 0.0)
    client = Scripted()
    async with writing(client) as writer:
        writer.recall(ROUTE, {}, "1")
        writer.observe(ROUTE, status("True", "Programmed"))
        await eventually(lambda: client.applied)
        told = client.applied[0][1]
        for version in range(11, 15):
            # Its own words that come back, then a change of what is no status.
            writer.recall(ROUTE, told, str(version))
        await asyncio.sleep(0.1)
        assert len(client.applied) == 1


async def test_an_object_that_was_made_anew_gets_its_status_though_nothing_new_is_to_be_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(statuswriter, "AGAIN_S", 0.2)
    client = Scripted()
    async with writing(client) as writer:
        writer.recall(ROUTE, {}, "1")
        writer.observe(ROUTE, status("True", "Programmed"))
        await eventually(lambda: client.applied)
        writer.recall(ROUTE, None, "")
        writer.recall(ROUTE, {}, "50")
        await asyncio.sleep(0.05)
        assert len(client.applied) == 1, "what is in it has not been looked at yet"
        await eventually(lambda: len(client.applied) == 2)
        assert client.versions[-1] == "50"


async def test_who_does_not_lead_corrects_nobody() -> None:
    client, leads = Scripted(), True
    async with writing(client, lambda: leads) as writer:
        writer.recall(ROUTE, {}, "1")
        writer.observe(ROUTE, status("True", "Programmed"))
        await eventually(lambda: client.applied)
        leads = False
        writer.recall(ROUTE, OTHER, "11")
        await asyncio.sleep(0.1)
        assert len(client.applied) == 1


async def test_what_was_left_out_while_the_term_had_ended_is_written_when_it_goes_on() -> None:
    """What changed, what somebody else changed, and what was under way; nothing else is looked through."""
    client, leads = Scripted(), True
    names = ("same", "changed", "corrected", "gone")
    same, changed, corrected, gone = (ObjectRef(kind="Route", namespace="shop", name=name) for name in names)
    async with writing(client, lambda: leads) as writer:
        for ref in (same, corrected):
            writer.recall(ref, {}, "1")
            writer.observe(ref, status("True", "Programmed", ref=ref))
        await eventually(lambda: len(client.applied) == 2)
        leads = False
        for ref in (changed, gone):
            writer.observe(ref, status("True", "Programmed", ref=ref))
        await eventually(lambda: not writer._queue.qsize())
        writer.recall(corrected, OTHER, "51")
        writer.observe(gone, None)
        asked: list[ObjectRef] = []
        writer.proxies = lambda ref: asked.append(ref) or (3, 3)
        leads = True
        writer.go_on()
        await eventually(lambda: len(client.applied) == 4)
        assert {path.rpartition("/")[2] for path, _ in client.applied[2:]} == {"changed", "corrected"}
        assert same not in asked


async def test_what_left_us_while_nobody_led_is_taken_back_by_who_leads_next() -> None:
    client, leads = Scripted(), False
    async with writing(client, lambda: leads) as writer:
        writer.judged.set()
        writer.recall(HTTP_ROUTE, OURS, "1")
        writer.observe(HTTP_ROUTE, attached())
        writer.observe(HTTP_ROUTE, None)
        writer.speaks_of = lambda _: False
        await eventually(lambda: not writer._queue.qsize())
        leads = True
        writer.write_all()
        await eventually(lambda: client.applied)
        assert client.applied == [(client.applied[0][0], {"parents": [entry("theirs")]})]


async def test_what_left_us_while_no_operator_ran_is_taken_back_once_all_is_judged() -> None:
    client = Scripted()
    async with writing(client) as writer:
        writer.recall(HTTP_ROUTE, OURS, "1")
        writer.speaks_of = lambda _: False
        writer.write_all()
        await asyncio.sleep(0.1)
        assert client.applied == [], "it is not known yet that there is nothing to say"
        writer.judged.set()
        await eventually(lambda: client.applied)
        assert client.applied[0][1] == {"parents": [entry("theirs")]}


async def test_what_is_ours_and_has_not_been_worded_yet_is_not_taken_back() -> None:
    client = Scripted()
    async with writing(client) as writer:
        writer.recall(HTTP_ROUTE, OURS, "1")
        writer.judged.set()
        writer.write_all()
        await asyncio.sleep(0.1)
        assert client.applied == []


async def test_what_is_invalid_is_not_tried_every_second_and_says_something_else_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(statuswriter, "_RETRY_S", 0.0)
    client = Scripted()
    client.failures = [ApiError(422, "no")] * 2
    async with writing(client) as writer:
        writer.observe(ROUTE, status("True", "Programmed"))
        await eventually(lambda: len(client.failures) == 1)
        await asyncio.sleep(0.1)
        assert len(client.failures) == 1
        for generation in (2, 3):
            writer.observe(ROUTE, status("True", "Programmed", generation=generation))
            await eventually(lambda: not client.failures)
        await eventually(lambda: client.generations() == [3])
