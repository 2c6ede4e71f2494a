"""API server and etcd are stopped and frozen: traffic flows, a new Envoy is configured, and changes follow at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from support.cluster import apiserver
from support.cluster.definition import Cluster
from support.cluster.kubectl import Kubectl
from support.cluster.outage import How, outage
from support.eventually import eventually
from support.faults.figures import Figures, requests
from support.faults.outcome import held
from support.faults.scene import STEADY, Scene, scene
from support.load import load
from support.operator import respond, serves, until

pytestmark = [pytest.mark.slow]

LIVE_S = 5.0
SHORT_S, LONG_S = 1.0, 40.0
SOON_BLIND = "import fastforward_operator.providers.kubernetes as provider\nprovider.BLIND_S = 30.0"
"""As it is a kind may be silent for 25 s; the long outages are longer than this."""
AWAY: tuple[tuple[str, How], ...] = (
    ("kube-apiserver", "stopped"),
    ("kube-apiserver", "frozen"),
    ("etcd", "stopped"),
    ("etcd", "frozen"),
)


async def go_through(found: Scene, cluster: Cluster, component: str, how: How, seconds: float) -> dict[str, Any]:
    """One outage, in which an Envoy is replaced, and after which a route changes."""
    body = f"{component}-{how}"
    assert found.envoy is not None
    async with load(found.port, found.host, path=STEADY, clients=2) as seen:
        away = ExitStack()
        await asyncio.to_thread(away.enter_context, outage(cluster, component, how))
        try:
            new_s = await replaced(found, body)
            await asyncio.sleep(seconds)
            assert await found.operator.is_alive(), "a kubelet would end it, and it could not start before this is over"
        finally:
            await asyncio.to_thread(away.close)
        await eventually(lambda: apiserver.is_ready(cluster), seconds=120, claim="the API server is ready again")
        back = time.monotonic()
        await until(lambda: asyncio.to_thread(changed, found, body), bool, every=0.1)
        taken = time.monotonic()
        await serves(found.envoy, found.host, body, "/shop")
        live = time.monotonic()
        await found.call("wait", "--for=condition=Programmed", "--timeout=60s", "route/shop")
    # It counts as back when it takes a change: one whose etcd was frozen says that it is ready seconds before.
    return {
        "away": f"{component} {how}",
        "new_envoy_s": round(new_s, 2),
        "change_taken_s": round(taken - back, 2),
        "live_s": round(live - back, 2),
        "told_s": round(time.monotonic() - back, 2),
        "requests": sum(seen.answers.values()),
        "failed": dict(seen.failed),
    }


def changed(found: Scene, body: str) -> bool:
    """Whether the API server took a change; it says that it is ready a moment before it takes any."""
    text = respond("shop", found.host, body, path="/shop")
    return found.kubectl.run("-n", found.namespace, "apply", "--server-side", "-f", "-", stdin=text).returncode == 0


async def replaced(found: Scene, name: str) -> float:
    """Seconds until an Envoy that starts now holds all that the other one does."""
    assert found.envoy is not None
    wanted = {key: version async for key, version in held(found.envoy)}
    began = time.monotonic()
    envoy = await found.start_envoy(name)

    async def holds() -> bool:
        try:
            return {key: version async for key, version in held(envoy)} == wanted
        except OSError:
            return False

    try:
        await until(holds, bool, every=0.05)
        return time.monotonic() - began
    finally:
        await asyncio.to_thread(envoy.stop)


@pytest.fixture
async def stage(tmp_path: Path, kubectl: Kubectl, operator_kubeconfig: Path, namespace: str) -> AsyncGenerator[Scene]:
    async with scene(tmp_path, kubectl, operator_kubeconfig, namespace, tuning=SOON_BLIND) as made:
        await made.begin()
        yield made


@pytest.mark.timeout(180)
async def test_traffic_survives_an_api_server_that_restarts(stage: Scene, fragile: Cluster) -> None:
    told = await go_through(stage, fragile, "kube-apiserver", "stopped", SHORT_S)
    assert told["failed"] == {}, told


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_traffic_survives_whatever_is_away(stage: Scene, fragile: Cluster, figures: Figures) -> None:
    rounds = [await go_through(stage, fragile, component, how, LONG_S) for component, how in AWAY]
    lost = {each["away"]: each["failed"] for each in rounds if each["failed"]}
    ours = {each["away"]: round(each["live_s"] - each["change_taken_s"], 2) for each in rounds}
    figures.put(
        "api-server-away",
        {
            "requests": requests(rounds),
            "a change is live": ", ".join(
                f"{each['live_s']} s ({each['away']}; {ours[each['away']]} s after the API server took it)"
                for each in rounds
            ),
            "a new Envoy is configured meanwhile": f"within {max(each['new_envoy_s'] for each in rounds)} s",
        },
        holds=not lost and max(each["live_s"] for each in rounds) <= LIVE_S,
        rounds=rounds,
    )
    assert lost == {}, rounds
