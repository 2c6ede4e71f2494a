"""Errors of whoever handles commands, over a real RabbitMQ: told to who waits, left aside for who does not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator

import pytest
from fastforward_kit.commands import consumer as consumers
from fastforward_kit.commands import dead_letters_of, name_queue
from fastforward_kit.commands.consumer import DETAIL, REASON
from structlog.testing import capture_logs

from fastforward.message.v1 import error_pb2
from support.command_consumer import consuming
from support.command_shop import error_of, shop, status
from support.eventually import eventually
from support.message_exchange import SEAL
from support.rabbitmq import RabbitServer, running_rabbitmq


@pytest.fixture(scope="module")
def rabbitmq() -> Generator[RabbitServer]:
    with running_rabbitmq() as server:
        yield server


async def test_an_error_is_told_to_a_caller_that_waits_and_left_aside_for_one_that_does_not(
    rabbitmq: RabbitServer,
) -> None:
    async with shop(rabbitmq) as gateway, consuming(rabbitmq, gateway.destination, SEAL) as workload:
        error = error_of(await gateway.order(prefer="wait=10", refuse="No stock"))
        assert (error.code, error.title, error.message_id) == (
            error_pb2.CODE_FAILED_PRECONDITION,
            "No stock",
            gateway.ids[0],
        )
        assert status(await gateway.order(refuse="No stock"))[0] == 202
        letter = await rabbitmq.dead_letter(gateway.destination)
        assert (letter.message_id, letter.headers[REASON]) == (gateway.ids[1], "refused")
        assert "No stock" in str(letter.headers[DETAIL])
        assert await rabbitmq.count(dead_letters_of(name_queue(gateway.destination))) == 0
    assert [each.header.id for each in workload.received] == gateway.ids


async def test_an_error_for_a_caller_whose_entrypoint_lost_rabbitmq_meanwhile_is_left_aside(
    rabbitmq: RabbitServer,
) -> None:
    async with shop(rabbitmq) as gateway, consuming(rabbitmq, gateway.destination, SEAL) as workload:
        asking = asyncio.ensure_future(gateway.order(prefer="wait=10", takes=1, refuse="No stock"))
        await eventually(lambda: workload.received)
        await gateway.lose_connection()
        assert status(await asking)[0] == 202
        letter = await rabbitmq.dead_letter(gateway.destination)
        assert (letter.message_id, letter.headers[REASON]) == (gateway.ids[0], "refused")
    assert [each.header.id for each in workload.received] == gateway.ids


async def test_an_error_that_its_caller_may_have_missed_is_told_and_left_aside(
    rabbitmq: RabbitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "DOUBT_S", 60.0)
    async with shop(rabbitmq) as gateway, consuming(rabbitmq, gateway.destination, SEAL):
        assert error_of(await gateway.order(prefer="wait=10", refuse="No stock")).title == "No stock"
        letter = await rabbitmq.dead_letter(gateway.destination)
        assert letter.message_id == gateway.ids[0]


async def test_an_error_that_comes_too_late_is_logged(rabbitmq: RabbitServer) -> None:
    async with shop(rabbitmq, lambda: time.time() + 60) as gateway, consuming(rabbitmq, gateway.destination, SEAL):
        with capture_logs() as logs:
            assert status(await gateway.order(prefer="wait=1", takes=1.5, refuse="No stock"))[0] == 202
            await eventually(lambda: [each["id"] for each in logs if each["event"].endswith("late")] == gateway.ids)
