"""Why calls are not answered: each cause in the log once in a while, however many messages end of it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from fastforward_entrypoint.messages import answer, apart, causes
from fastforward_entrypoint.messages.apart import RemoteExchange
from fastforward_entrypoint.messages.causes import QUIET_S, Causes
from fastforward_entrypoint.messages.lines import UnconnectedError
from fastforward_pipeline import Reason
from fastforward_pipeline.message import Failed
from fastforward_shield import HopError
from structlog.testing import capture_logs

from support.message_exchange import entrypoint
from support.messages import TARGET, envelope
from support.processes import free_ports


@contextmanager
def told(monkeypatch: pytest.MonkeyPatch) -> Generator[list[Any]]:
    """What the log gets, of causes that were never told before."""
    fresh = Causes()
    for module in (answer, apart):
        monkeypatch.setattr(module, "CAUSES", fresh)
    with capture_logs() as logs:
        yield logs


def test_a_cause_is_told_once_in_a_while_and_each_by_itself() -> None:
    now = [0.0]
    made = Causes(lambda: now[0])
    gone = grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), "gone")
    errors = (KeyError("shop/x"), UnconnectedError("no endpoint"), gone, HopError("x", "no"))
    with capture_logs() as logs:
        for _ in range(3):
            for error in errors:
                made.tell("shop/x", error)
        made.tell("shop/y", gone)
        now[0] = QUIET_S
        made.tell("shop/x", gone)
    assert [(each["callee"], each["cause"]) for each in logs] == [
        ("shop/x", "unknown"),
        ("shop/x", "Unconnected"),
        ("shop/x", "UNAVAILABLE"),
        ("shop/x", "Hop"),
        ("shop/y", "UNAVAILABLE"),
        ("shop/x", "UNAVAILABLE"),
    ]
    assert [each["why"] for each in logs[:3]] == ["there is no upstream shop/x", "no endpoint", "gone"]


def test_what_was_told_long_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(causes, "_KEPT", 3)
    now = [0.0]
    made = Causes(lambda: now[0])
    for number in range(20):
        now[0] += QUIET_S
        made.tell(f"shop/{number}", KeyError("x"))
    assert len(made._told) <= 3


async def test_the_log_knows_why_a_target_was_not_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    [port] = free_ports(1)
    with told(monkeypatch) as logs:
        for address in ("", f"127.0.0.1:{port}"):
            async with entrypoint(address) as exchange:
                outcome = await exchange.exchange(envelope())
            assert isinstance(outcome, Failed)
            assert outcome.error.reason == Reason.UNREACHABLE.value
    causes_of = [(each["callee"], each["cause"]) for each in logs if each["event"] == "no answer"]
    assert causes_of == [(TARGET, "unknown"), (TARGET, "Unconnected")]


async def test_the_log_of_an_adapter_knows_why_entrypoint_was_not_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "REACH_S", 0.05)
    target = f"127.0.0.1:{free_ports(1)[0]}"
    remote = RemoteExchange(target)
    with told(monkeypatch) as logs:
        for ask in (remote.exchange, remote.listen):
            assert isinstance(await ask(envelope()), Failed)
    await remote.close()
    assert [(each["callee"], each["cause"]) for each in logs] == [(f"messages to {target}", "Timeout")]
