"""A leader that is frozen amid its writes, while another takes over: nothing that it still had to say is taken."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from fastforward_operator.kubernetes.lease import lease_name

from support.cluster.kubectl import Kubectl
from support.faults.apiproxy import Write
from support.faults.figures import Figures
from support.faults.outcome import listed
from support.faults.scene import STEADY, Scene, scene
from support.load import load
from support.operator import respond, until

pytestmark = [pytest.mark.slow]

TAKE_OVER_S = 5.0
AWAKE_S = 3.0
"""For so long one that wakes is watched."""
NO_CLOCK = """
from fastforward_operator.kubernetes.lease import Election
Election.speaks = property(lambda self: self._elected_at > 0)
"""
"""Whoever was elected once speaks for ever."""
NO_VERSION = """
from fastforward_operator.kubernetes.statuswriter import StatusWriter
named = StatusWriter._metadata
StatusWriter._metadata = lambda *about: {k: v for k, v in named(*about).items() if k != "resourceVersion"}
"""
"""A status is written whatever it is that it overwrites."""
LATE = """
import asyncio, random
from fastforward_operator.kubernetes import client
checked = client._while
async def late(may, body):
    async for part in checked(may, body):
        await asyncio.sleep(random.random())
        yield part
client._while = late
"""
"""Between the look at the clock and what is written there is time, in which a leader may be frozen."""
LEASES = "/apis/coordination.k8s.io/v1/namespaces/fastforward-system/leases"


async def holder(found: Scene) -> str:
    lease = await found.api.read(f"{LEASES}/{lease_name((found.namespace,))}")
    return str((lease or {}).get("spec", {}).get("holderIdentity", ""))


def many(found: Scene, count: int, body: str) -> list[str]:
    return [respond(f"r{number}", found.host, body, path=f"/r{number}") for number in range(count)]


async def generations(found: Scene) -> dict[str, bool]:
    """Of each route, whether its status is of its newest version."""
    path = f"/apis/gateway.fastforward.dev/v1alpha1/namespaces/{found.namespace}/routes"
    return {
        each["metadata"]["name"]: each.get("status", {}).get("observedGeneration") == each["metadata"]["generation"]
        async for each in listed(found.api, path)
    }


def frozen_at(found: Scene, number: int) -> asyncio.Event:
    """Freezes the operator when its n-th write from now on has been taken, before it is told so."""
    first, done = len(found.proxy.writes), asyncio.Event()

    def note(write: Write) -> None:
        if write.number - first == number:
            found.operator.freeze()
            done.set()

    found.proxy.on_write = note
    return done


async def freeze_once(old: Scene, routes: int, number: int, body: str) -> dict[str, Any]:
    """The old one leads; it is frozen at its n-th write of many, and wakes when the new one has written them all."""
    identity = await until(lambda: holder(old), bool)
    done = frozen_at(old, number)
    applied = asyncio.create_task(old.apply(*many(old, routes, body)))
    await done.wait()
    since = time.monotonic()
    await until(lambda: holder(old), lambda name: name not in ("", identity), every=0.02)
    taken_over_s = time.monotonic() - since
    await applied
    await until(lambda: generations(old), lambda told: all(told.values()), every=0.1)
    told_s = time.monotonic() - since
    before, asked = len(old.proxy.writes), len(old.proxy.asked)
    old.operator.thaw()
    await asyncio.sleep(AWAKE_S)
    late = old.proxy.writes[before:]
    return {
        "taken_over_s": round(taken_over_s, 2),
        "statuses_told_s": round(told_s, 2),
        "tried": len(late),
        "accepted": [str(write) for write in late if write.taken],
        "asked": len(old.proxy.asked) - asked,
    }


async def freezes(old: Scene, new: Scene, points: tuple[int, ...], routes: int) -> dict[str, Any]:
    """Each takes its turn as the one that is frozen."""
    rounds = []
    async with load(old.port, old.host, path=STEADY, clients=2) as seen:
        for turn, number in enumerate(points):
            leader = old if turn % 2 == 0 else new
            rounds.append(await freeze_once(leader, routes, number, f"turn {turn}"))
    return {"rounds": rounds, "requests": sum(seen.answers.values()), "failed": dict(seen.failed)}


async def two(
    folder: Path,
    kubectl: Kubectl,
    kubeconfig: Path,
    namespace: str,
    measure: Any,  # noqa: ANN401 - a coroutine function
    tuning: str = "",
) -> dict[str, Any]:
    """A leader with an Envoy, and another replica; `tuning` breaks the one that leads at first."""
    for name in ("one", "two"):
        (folder / name).mkdir()
    async with (
        scene(folder / "one", kubectl, kubeconfig, namespace, tuning=tuning) as one,
        scene(folder / "two", kubectl, kubeconfig, namespace) as other,
    ):
        await one.begin()
        other.operator.start()
        await until(other.operator.is_ready, bool)
        return await measure(one, other)


def accepted(told: dict[str, Any]) -> list[str]:
    return [write for each in told["rounds"] for write in each["accepted"]]


@pytest.mark.timeout(180)
async def test_nothing_is_taken_from_a_leader_that_wakes(
    tmp_path: Path, kubectl: Kubectl, operator_kubeconfig: Path, namespace: str
) -> None:
    told = await two(
        tmp_path, kubectl, operator_kubeconfig, namespace, lambda one, other: freezes(one, other, (5,), 40)
    )
    assert (accepted(told), told["failed"]) == ([], {}), told


@pytest.mark.long
@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("broken", "noticed"),
    [(NO_CLOCK, True), (NO_VERSION, False), (LATE, False), (LATE + NO_VERSION, True)],
    ids=["no clock", "no version", "a late clock", "a late clock and no version"],
)
async def test_writes_of_an_operator_without_a_fence_are_seen(
    tmp_path: Path, kubectl: Kubectl, operator_kubeconfig: Path, namespace: str, broken: str, noticed: bool
) -> None:
    """The same with operators that were broken on purpose: what it proves it could disprove.

    The clock keeps one that woke silent, and the version stops what was on its way when it fell asleep.
    """
    told = await two(
        tmp_path, kubectl, operator_kubeconfig, namespace, lambda one, other: freezes(one, other, (5,), 120), broken
    )
    assert bool(accepted(told)) == noticed, told
    assert LATE not in broken or told["rounds"][0]["tried"], told
    assert told["failed"] == {}


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_whenever_a_leader_is_frozen_another_takes_over_in_time(
    tmp_path: Path, kubectl: Kubectl, operator_kubeconfig: Path, namespace: str, figures: Figures
) -> None:
    points = tuple(range(1, 101, 10))
    told = await two(
        tmp_path, kubectl, operator_kubeconfig, namespace, lambda one, other: freezes(one, other, points, 120)
    )
    took = sorted(each["taken_over_s"] for each in told["rounds"])
    late = accepted(told)
    figures.put(
        "leader-frozen",
        {
            "freezes": str(len(took)),
            "taken over": f"median {took[len(took) // 2]} s, at most {took[-1]} s",
            "writes taken from the old one": str(len(late)),
            "requests": f"{told['requests']}, failed: {sum(told['failed'].values())}",
        },
        holds=not late and not told["failed"] and took[-1] <= TAKE_OVER_S,
        **told,
    )
    assert (late, told["failed"]) == ([], {}), told
