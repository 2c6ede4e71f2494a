"""A file is edited, and traffic follows."""

import statistics
import time
from pathlib import Path

from support.operator import Connection, edge, gateway, respond, serves, until


async def test_an_edited_route_changes_traffic_and_then_its_status(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        running.write("edge", edge("shop.example.com"))
        running.write("shop", respond("shop", "shop.example.com", "first"))
        envoy = running.start_envoy()
        await serves(envoy, "shop.example.com", "first")
        await until(lambda: running.programmed("Route", "shop", 1), bool)
        running.write("shop", respond("shop", "shop.example.com", "second"))
        await serves(envoy, "shop.example.com", "second")
        await until(lambda: running.programmed("Route", "shop", 2), bool)


async def test_a_change_is_in_traffic_within_milliseconds_of_the_rename(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        running.write("edge", edge("shop.example.com"))
        running.write("shop", respond("shop", "shop.example.com", "0"))
        envoy = running.start_envoy()
        await serves(envoy, "shop.example.com", "0")
        connection = Connection(envoy.port)
        took = []
        for number in range(1, 101):
            running.write("shop", respond("shop", "shop.example.com", str(number)))
            start = time.perf_counter()
            await until(
                lambda: connection.get("shop.example.com"),
                lambda answer, want=str(number): answer.body == want,
                every=0.0005,
            )
            took.append((time.perf_counter() - start) * 1000)
        await connection.close()
        print(f"change to traffic: p50 {statistics.median(took):.1f} ms, slowest {max(took):.1f} ms")
        assert statistics.median(took) < 60
