"""Programmed is never said early, whatever one of the proxies does."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastforward_compiler.problem import ObjectRef
from fastforward_operator.objectstatus import ObjectStatus

from support.envoy import Connection, connections
from support.operator import EDGE_PORT, Gateway, edge, gateway, respond, serves, until

SHOP = ObjectRef(kind="Route", namespace="default", name="shop")
HOST = "shop.example.com"
POOL = 40
"""Connections, so many that each of three Envoys surely has some."""


def ready(found: dict[str, Any]) -> int:
    return found["proxies"]["ready"] if found else 0


@asynccontextmanager
async def three_envoys(folder: Path) -> AsyncGenerator[Gateway]:
    async with gateway(folder) as running:
        running.write("edge", edge(HOST))
        running.write("shop", respond("shop", HOST, "0"))
        for name in ("one", "two", "three"):
            running.start_envoy(name)
        await until(lambda: running.object("Route", "shop"), lambda found: ready(found) == 3)
        yield running


class Programmed:
    """Hears, without delay, when the route is said to be programmed."""

    def __init__(self, running: Gateway) -> None:
        self.told: asyncio.Queue[ObjectStatus] = asyncio.Queue()
        self.stop = running.operator.board.subscribe(self._listen)

    def _listen(self, ref: ObjectRef, status: ObjectStatus | None) -> None:
        if ref == SHOP and status is not None and status.conditions[-1].status == "True":
            self.told.put_nowait(status)


async def test_programmed_is_true_only_when_every_one_of_three_proxies_serves_the_change(tmp_path: Path) -> None:
    async with (
        three_envoys(tmp_path) as running,
        connections(running.settings.ports[EDGE_PORT], HOST, POOL) as pool,
    ):
        assert min([await envoy.counter("http.http.downstream_cx_active") for envoy in running.envoys]) > 0
        for number in range(1, 40):
            programmed = Programmed(running)
            running.write("shop", respond("shop", HOST, str(number)))
            async with asyncio.timeout(5):
                status = await programmed.told.get()
            answers = await asyncio.gather(*(connection.get(HOST) for connection in pool))
            programmed.stop()
            assert status.conditions[-1].observed_generation == number + 1
            assert running.operator.board.proxies(SHOP) == (3, 3)
            assert {answer.body for answer in answers} == {str(number)}


async def ask(connection: Connection) -> str:
    try:
        async with asyncio.timeout(1):
            return (await connection.get(HOST)).body
    except TimeoutError:
        return "frozen"


async def test_a_frozen_proxy_is_named_until_it_is_given_up_and_counts_again_when_it_is_back(tmp_path: Path) -> None:
    port = 0
    async with three_envoys(tmp_path) as running:
        port = running.settings.ports[EDGE_PORT]
        async with connections(port, HOST, POOL) as pool:
            frozen = running.envoys[1]
            frozen.freeze()
            running.write("shop", respond("shop", HOST, "1"))
            pending = await until(lambda: running.object("Route", "shop"), lambda found: ready(found) == 2)
            assert pending["proxies"] == {"ready": 2, "total": 3}
            assert pending["conditions"][-1]["status"] == "Unknown"
            assert pending["conditions"][-1]["reason"] == "Pending"
            assert pending["conditions"][-1]["message"] == "Waiting for two."
            assert set(await asyncio.gather(*(ask(connection) for connection in pool))) == {"1", "frozen"}
            assert not await running.programmed("Route", "shop", 2)

        # Keepalive gives it up; from then on it does not count.
        await until(lambda: running.programmed("Route", "shop", 2), bool)
        assert (await running.object("Route", "shop"))["proxies"] == {"ready": 2, "total": 2}
        frozen.thaw()
        await until(lambda: running.object("Route", "shop"), lambda found: ready(found) == 3)
        async with connections(port, HOST, POOL) as pool:
            assert {(await connection.get(HOST)).body for connection in pool} == {"1"}


async def test_a_change_reaches_the_other_proxy_as_fast_while_one_is_frozen(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        running.write("edge", edge(HOST))
        running.write("shop", respond("shop", HOST, "0"))
        first = running.start_envoy("first")
        await serves(first, HOST, "0")
        async with connections(first.port, HOST) as (connection,):
            second = running.start_envoy("second")
            await until(lambda: running.object("Route", "shop"), lambda found: ready(found) == 2)
            second.freeze()
            for number in range(1, 30):
                running.write("shop", respond("shop", HOST, str(number)))
                await until(
                    lambda: connection.get(HOST),
                    lambda answer, want=str(number): answer.body == want,
                    seconds=0.5,
                    every=0.001,
                )


async def test_what_a_frozen_proxy_lacks_of_a_table_says_nothing_of_the_other_routes_in_it(tmp_path: Path) -> None:
    async with three_envoys(tmp_path) as running:
        running.write("beside", respond("beside", HOST, "beside", path="/beside"))
        await until(lambda: running.programmed("Route", "beside", 1), bool)
        heard: list[str] = []
        stop = running.operator.board.subscribe(lambda ref, _: heard.append(ref.name))
        running.envoys[1].freeze()
        running.write("shop", respond("shop", HOST, "1"))
        await until(lambda: running.object("Route", "shop"), lambda found: ready(found) == 2)
        assert (await running.object("Route", "beside"))["proxies"] == {"ready": 3, "total": 3}
        running.envoys[1].thaw()
        await until(lambda: running.programmed("Route", "shop", 2), bool)
        stop()
        assert set(heard) == {"shop"}
