"""Two operators, each with a proxy of the same Edge: the one that leads speaks for both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fastforward_operator.bootstrap import Operator, bootstrap
from fastforward_operator.settings import Settings
from fastforward_operator.xds import server

from support.cluster.kubectl import Kubectl
from support.envoy import Envoy
from support.nodes import OPERATOR, envoy_of
from support.operator import edge, respond, serves, until
from support.processes import free_port

from .test_mutual_tls import PORTS, Scene

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

HOST = "front.example.com"


@asynccontextmanager
async def operator(folder: Path, kubeconfig: Path, namespace: str, port: int) -> AsyncGenerator[Operator]:
    xds = free_port()
    settings = Settings(
        provider="kubernetes",
        kubeconfig=kubeconfig,
        namespaces=(namespace,),
        state_dir=folder / "state",
        api_port=0,
        bind_address="127.0.0.1",
        ports={PORTS["front"]: port},
        xds_address=f"127.0.0.1:{xds}",
        xds_tls=True,
        xds_names=(OPERATOR,),
        replica_address=f"127.0.0.1:{xds}",
    )
    made = bootstrap(settings)
    assert made.outside.election is not None
    # Elsewhere each is a process of its own.
    made.outside.election.identity = folder.name
    await made.start()
    await until(lambda: asyncio.sleep(0, made.server.serving), bool)
    try:
        yield made
    finally:
        await made.stop()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who answers no pings is still missed. Otherwise a frozen proxy is forgotten three seconds after it is first named
    in a status, and kubectl may need longer than that to see it there.
    """
    options = {**dict(server._OPTIONS), "grpc.keepalive_time_ms": 600_000}
    monkeypatch.setattr(server, "_OPTIONS", tuple(options.items()))


@pytest.fixture
async def scene(
    tmp_path: Path, kubectl: Kubectl, operator_kubeconfig: Path, namespace: str
) -> AsyncGenerator[tuple[Scene, Operator, Operator, list[Envoy]]]:
    """A leader, another replica, and an Envoy of each; both on one port, so ask them through their consoles."""
    port = free_port()
    envoys: list[Envoy] = []
    async with operator(tmp_path / "one", operator_kubeconfig, namespace, port) as leader:
        await until(
            lambda: asyncio.sleep(0, leader.outside.election is not None and leader.outside.election.leads), bool
        )
        async with operator(tmp_path / "two", operator_kubeconfig, namespace, port) as other:
            made = Scene(tmp_path, kubectl, namespace, leader.settings, leader)
            try:
                await made.apply(edge(HOST, name="front"), say("one"))
                tls = made.certificate("edge", "front")
                for number, served_by in enumerate((leader, other)):
                    xds = served_by.server.port
                    envoys.append(envoy_of(tmp_path / f"envoy-{number}", tls, port=port, xds=xds))
                await until(lambda: asyncio.sleep(0, other.teller is not None and other.teller.told_to), bool)
                yield made, leader, other, envoys
            finally:
                for envoy in envoys:
                    await asyncio.to_thread(envoy.stop)


def say(body: str) -> str:
    return respond("shop", HOST, body).replace("name: public}", "name: front}")


@pytest.mark.usefixtures("patient")
async def test_the_leader_counts_proxies_of_all_replicas_and_waits_for_each(
    scene: tuple[Scene, Operator, Operator, list[Envoy]],
) -> None:
    made, _, _, envoys = scene
    await until(lambda: made.status("edge", "front"), lambda status: status.get("proxies") == "2/2")
    envoys[1].freeze()
    await made.apply(say("two"))
    waiting = await until(
        lambda: made.status("route", "shop"),
        lambda status: (
            status.get("observedGeneration") == 2 and status["conditions"][-1]["message"] == "Waiting for envoy-1."
        ),
    )
    assert waiting["conditions"][-1]["reason"] == "Pending"
    assert waiting["proxies"] == "1/2"
    envoys[1].thaw()
    programmed = await until(
        lambda: made.status("route", "shop"), lambda status: status["conditions"][-1]["reason"] == "Programmed"
    )
    assert programmed["proxies"] == "2/2"
    await serves(envoys[1], HOST, "two")


async def test_a_proxy_of_a_replica_that_ends_keeps_nobody_waiting(
    scene: tuple[Scene, Operator, Operator, list[Envoy]],
) -> None:
    made, leader, other, envoys = scene
    await until(lambda: made.status("edge", "front"), lambda status: status.get("proxies") == "2/2")
    await asyncio.to_thread(envoys[1].stop)
    await until(lambda: made.status("edge", "front"), lambda status: status.get("proxies") == "1/1")
    await made.apply(say("two"))
    await until(
        lambda: made.status("route", "shop"),
        lambda status: status.get("observedGeneration") == 2 and status["conditions"][-1]["reason"] == "Programmed",
    )
    del leader, other


async def test_when_another_replica_leads_it_is_told_by_those_that_are_left(
    scene: tuple[Scene, Operator, Operator, list[Envoy]],
) -> None:
    made, leader, other, _ = scene
    await until(lambda: made.status("edge", "front"), lambda status: status.get("proxies") == "2/2")
    first, second = leader.outside.election, other.outside.election
    assert first is not None
    assert second is not None
    while not second.leads:
        await first._release()
        await asyncio.sleep(0.1)
    await made.apply(say("two"))
    told = await until(
        lambda: made.status("route", "shop"),
        lambda status: status.get("observedGeneration") == 2 and status["conditions"][-1]["reason"] == "Programmed",
    )
    assert told["proxies"] == "2/2"
