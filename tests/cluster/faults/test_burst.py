"""Ten thousand routes are made, changed and taken away as fast as the API server can; one more changes meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import fastforward_crds as crds
import pytest
import yaml
from perf.harness.report import summary

from support.cluster.kubectl import Kubectl
from support.envoy import Connection
from support.faults.figures import Figures, smaller
from support.faults.outcome import listed
from support.faults.scene import STEADY, Scene, scene
from support.load import load
from support.operator import edge, respond, serves, until

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(3600)]

USUAL = 10_000
COUNT = int(os.environ.get("FF_BURST", USUAL))
WRITERS = 32
LIVE_S, SINGLE_MS = 60.0, 1000.0
PAUSE_S = 0.2
GIVE_UP_S = 600.0


class Burst:
    """Routes by number, each on a host of its own."""

    def __init__(self, found: Scene) -> None:
        self.found = found
        self.path = f"/apis/{crds.API_VERSION}/namespaces/{found.namespace}/routes"

    def host(self, number: int) -> str:
        return f"b{number}.{self.found.host}"

    def document(self, number: int, body: str) -> dict[str, Any]:
        made: dict[str, Any] = yaml.safe_load(respond(f"b{number}", self.host(number), body))
        return made

    async def create(self, number: int) -> None:
        await self.found.api.create(self.path, self.document(number, "one"))

    async def edit(self, number: int) -> None:
        spec = self.document(number, "two")["spec"]
        await self.found.api.merge(f"{self.path}/b{number}", {"spec": spec})

    async def delete(self, number: int) -> None:
        await self.found.api.delete(f"{self.path}/b{number}")

    async def all_written(self, write: Callable[[int], Awaitable[None]]) -> None:
        numbers = iter(range(COUNT))

        async def go_on() -> None:
            for number in numbers:
                await write(number)

        await asyncio.gather(*(go_on() for _ in range(WRITERS)))

    async def all_live(self, wanted: str) -> None:
        """Every fiftieth, and the last hundred: the operator takes them in the order of the API server."""
        connection = Connection(self.found.port)
        for number in sorted({*range(0, COUNT, 50), *range(max(0, COUNT - 100), COUNT)}):
            host = self.host(number)
            await until(
                lambda host=host: connection.get(host),
                lambda answer: answer.body == wanted if wanted else answer.status == 404,
                seconds=GIVE_UP_S,
            )
        await connection.close()


async def phase(burst: Burst, write: Callable[[int], Awaitable[None]], wanted: str) -> dict[str, float]:
    began = time.monotonic()
    await burst.all_written(write)
    written = time.monotonic()
    await burst.all_live(wanted)
    return {"written_s": round(written - began, 2), "live_s": round(time.monotonic() - began, 2)}


@asynccontextmanager
async def single_changes(found: Scene) -> AsyncGenerator[tuple[list[float], list[float]]]:
    """One route changes again and again; milliseconds from before the PATCH, and until it is answered."""
    live: list[float] = []
    taken: list[float] = []
    path = f"/apis/{crds.API_VERSION}/namespaces/{found.namespace}/routes/single"

    connection = Connection(found.port)

    async def change() -> None:
        number = 0
        while True:
            number += 1
            spec = yaml.safe_load(respond("single", found.host, str(number), path="/single"))["spec"]
            began = time.monotonic()
            await found.api.merge(path, {"spec": spec})
            answered = time.monotonic()
            await until(
                lambda: connection.get(found.host, "/single"),
                lambda answer, wanted=str(number): answer.body == wanted,
                seconds=GIVE_UP_S,
                every=0.001,
            )
            live.append((time.monotonic() - began) * 1e3)
            taken.append((answered - began) * 1e3)
            await asyncio.sleep(PAUSE_S)

    task = asyncio.create_task(change())
    try:
        yield live, taken
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await connection.close()


async def told(found: Scene) -> bool:
    path = f"/apis/{crds.API_VERSION}/namespaces/{found.namespace}/routes"
    return all([is_told(each) async for each in listed(found.api, path)])


def is_told(route: dict[str, Any]) -> bool:
    """Whether its status is about the version that is there."""
    observed: int = route.get("status", {}).get("observedGeneration", -1)
    return observed == route["metadata"]["generation"]


async def test_a_burst_is_live_in_time_and_holds_up_no_single_change(
    tmp_path: Path, kubectl: Kubectl, operator_kubeconfig: Path, namespace: str, figures: Figures
) -> None:
    settings = {"FF_KUBECONFIG": str(operator_kubeconfig), "FF_LOG_LEVEL": "warning"}
    phases: dict[str, dict[str, float]] = {}
    async with scene(tmp_path, kubectl, operator_kubeconfig, namespace, settings=settings) as found:
        envoy = await found.begin()
        await found.apply(edge(found.host, f"*.{found.host}"), respond("single", found.host, "0", path="/single"))
        await serves(envoy, found.host, "0", "/single")
        burst = Burst(found)
        async with load(found.port, found.host, path=STEADY, clients=1) as seen, single_changes(found) as (live, taken):
            phases["created"] = await phase(burst, burst.create, "one")
            phases["edited"] = await phase(burst, burst.edit, "two")
            since = time.monotonic()
            await until(lambda: told(found), bool, seconds=GIVE_UP_S, every=2.0)
            statuses_s = round(time.monotonic() - since, 2)
            phases["deleted"] = await phase(burst, burst.delete, "")
    single, patch = summary(live), summary(taken)
    slowest = max(each["live_s"] for each in phases.values())
    print(json.dumps(phases))
    figures.put(
        "burst",
        {
            "routes": f"{COUNT:,}",
            "all live": ", ".join(
                f"{name} {each['live_s']} s (of which the API server {each['written_s']} s)"
                for name, each in phases.items()
            ),
            "a single change meanwhile": f"p50 {single['p50']} ms, p99 {single['p99']} ms "
            f"(of which the API server p50 {patch['p50']} ms, p99 {patch['p99']} ms)",
            "requests": f"{sum(seen.answers.values())}, failed: {sum(seen.failed.values())}",
        },
        holds=slowest <= LIVE_S and single["p99"] <= SINGLE_MS and not seen.failed,
        note=smaller(COUNT, USUAL, "routes"),
        phases=phases,
        single_ms=single,
        patch_ms=patch,
        statuses_after_s=statuses_s,
        failed=dict(seen.failed),
    )
    assert not seen.failed
