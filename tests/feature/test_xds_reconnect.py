"""Streams begin anew: nobody notices that the operator was away, and a proxy that starts serves everything at once."""

from collections.abc import Generator
from pathlib import Path

import pytest
from fastforward_operator.xds import channel

from support.load import load
from support.operator import edge, gateway, proxy, respond, serves, until, upstream
from support.origin import Loop, Origin, Reply


@pytest.fixture
def origins() -> Generator[tuple[Origin, Origin]]:
    """Two, which answer `old` and `new`."""
    loop = Loop()
    old = Origin(name="old", loop=loop, answer=lambda _: Reply(body="old"))
    new = Origin(name="new", loop=loop, answer=lambda _: Reply(body="new"))
    old.start()
    new.start()
    yield old, new
    old.stop()
    new.stop()
    loop.stop()


async def test_a_restart_of_the_operator_sends_nothing_and_loses_no_request(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        running.write("edge", edge("*.example.com"))
        for number in range(100):
            running.write(f"r{number}", respond(f"r{number}", f"h{number}.example.com", str(number)))
        envoy = running.start_envoy()
        await serves(envoy, "h99.example.com", "99")
        await until(lambda: running.programmed("Route", "r99"), bool)
        async with load(envoy.port, "h7.example.com") as seen:
            await running.restart()
            told = await until(running.told, bool)
            await until(lambda: running.programmed("Route", "r99"), bool)
        assert set(told.values()) == {0}
        assert not seen.failed
        assert seen.answers[200] > 10


async def test_what_changed_while_the_operator_was_away_is_all_that_is_sent(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        running.write("edge", edge("*.example.com"))
        for number in range(20):
            running.write(f"r{number}", respond(f"r{number}", f"h{number}.example.com", str(number)))
        envoy = running.start_envoy()
        await serves(envoy, "h19.example.com", "19")
        await until(lambda: running.programmed("Route", "r19"), bool)
        await running.operator.stop()
        running.write("r3", respond("r3", "h3.example.com", "changed"))
        running.remove("r4")
        running.write("r20", respond("r20", "h20.example.com", "new"))
        await running.start()
        await serves(envoy, "h20.example.com", "new")
        await serves(envoy, "h3.example.com", "changed")
        await until(lambda: envoy.get("h4.example.com"), lambda answer: answer.status == 404)
        told = await until(running.told, bool)
        assert told["ScopedRouteConfiguration"] == 3
        assert sum(told.values()) == 3


async def test_a_route_that_moved_while_the_operator_was_away_loses_no_request(
    tmp_path: Path, origins: tuple[Origin, Origin]
) -> None:
    old, new = origins
    async with gateway(tmp_path) as running:
        running.write("edge", edge("*.example.com"))
        running.write("old", upstream("old", old.port))
        running.write("shop", proxy("shop", "shop.example.com", "old"))
        envoy = running.start_envoy()
        await serves(envoy, "shop.example.com", "old")
        await until(lambda: running.programmed("Route", "shop"), bool)
        async with load(envoy.port, "shop.example.com") as seen:
            await running.operator.stop()
            running.write("new", upstream("new", new.port))
            running.write("shop", proxy("shop", "shop.example.com", "new"))
            running.remove("old")
            await running.start()
            await serves(envoy, "shop.example.com", "new")
        assert not seen.failed
        await until(lambda: envoy.admin("/clusters?format=text"), lambda text: "default/old::" not in text)


async def test_an_envoy_that_starts_anew_gets_everything(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        running.write("edge", edge("*.example.com"))
        running.write("shop", respond("shop", "shop.example.com", "hello"))
        first = running.start_envoy()
        await serves(first, "shop.example.com", "hello")
        first.process.kill()
        first.process.wait()
        await until(lambda: running.condition("Route", "shop"), lambda found: found["reason"] == "NoProxies")
        second = running.start_envoy("second")
        await serves(second, "shop.example.com", "hello")
        await until(lambda: running.programmed("Route", "shop"), bool)


async def test_an_envoy_that_starts_serves_every_host_from_its_first_answer_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "MAX_RESOURCES", 1)
    async with gateway(tmp_path) as running:
        running.write("edge", edge("*.example.com"))
        running.write("routes", *(respond(f"r{n}", f"h{n}.example.com", str(n)) for n in range(300)))
        await until(lambda: running.condition("Route", "r299"), bool)
        envoy = running.start_envoy()
        seen = set()

        async def ask() -> set[int]:
            answers = {(await envoy.get(f"h{n}.example.com")).status for n in range(0, 300, 33)}
            seen.update(answers)
            return answers

        await until(ask, lambda answers: answers == {200})
        assert seen <= {0, 200}
