"""The operator is killed at each of its writes in turn: the end is always the same, and no request fails meanwhile."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml

from support.cluster.kubectl import Kubectl
from support.faults.apiproxy import Write
from support.faults.figures import Figures
from support.faults.outcome import Outcome
from support.faults.scene import STEADY, Scene, scene
from support.load import load
from support.operator import edge, proxy, respond, upstream

pytestmark = [pytest.mark.slow]

When = Literal["unanswered", "answered"]
"""Killed before it is told that the write was taken, or after."""
RECOVERY_S = 5.0
MOST = 200
EVERY = int(os.environ.get("FF_CRASH_EVERY", "1"))
"""1: every write."""
QUICK = (2, 9)
AS_IN_A_CONTAINER = "import os\nos.getpid = lambda: 1"
"""A container that starts again has the name that it had, and so the lease that it had."""


@dataclass(slots=True)
class Crash:
    """Kills the operator at its n-th write, and starts it again."""

    scene: Scene
    at: int = 0
    when: When = "unanswered"
    killed_at: float = 0.0
    write: str = ""
    _first: int = 0
    _task: asyncio.Task[None] | None = None

    def arm(self) -> None:
        self._first = len(self.scene.proxy.writes)
        told = self._note if self.at else _ignore
        self.scene.proxy.on_write, self.scene.proxy.on_told = (
            (told, _ignore) if self.when == "unanswered" else (_ignore, told)
        )

    def _note(self, write: Write) -> None:
        if write.number - self._first != self.at or self.killed_at:
            return
        self.scene.operator.kill()
        self.killed_at, self.write = time.monotonic(), str(write)
        self._task = asyncio.create_task(self._restart())

    async def _restart(self) -> None:
        await self.scene.operator.gone()
        self.scene.operator.start()


def _ignore(_: Write) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something that users do."""

    applied: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()


def steps(found: Scene) -> tuple[Step, ...]:
    host = found.host
    broken = yaml.safe_load(respond("lost", host, "x", path="/lost"))
    broken["spec"]["rules"] = [{"matches": [{"path": {"value": "/lost"}}], "upstreams": [{"name": "nowhere"}]}]
    workload = "apiVersion: gateway.fastforward.dev/v1alpha1\nkind: Workload\nmetadata: {name: decision}\nspec: {}\n"
    return (
        Step(
            applied=(
                respond("shop", host, "one", path="/shop"),
                upstream("books", 9),
                proxy("books", f"books.{host}", "books"),
                yaml.safe_dump(broken),
            )
        ),
        Step(applied=(edge(f"staff.{host}", name="staff", port=8081), workload)),
        Step(applied=(respond("shop", host, "two", path="/shop"), respond("lost", host, "found", path="/lost"))),
        Step(deleted=("route/shop", "route/lost", "route/books", "upstream/books", "edge/staff", "workload/decision")),
    )


async def run(found: Scene, crash: Crash, ends: list[Outcome]) -> float:
    """All steps; seconds from the kill until all was as it should be, 0 when nothing was killed."""
    crash.arm()
    recovery = 0.0
    for step, wanted in zip(steps(found), ends, strict=True):
        before = crash.killed_at
        if step.applied:
            await found.apply(*step.applied)
        if step.deleted:
            await found.call("delete", "--wait=false", *step.deleted)
        await found.comes_to(wanted)
        if crash.killed_at and not before:
            recovery = time.monotonic() - crash.killed_at
    return recovery


async def undisturbed(found: Scene) -> list[Outcome]:
    """What each step comes to."""
    ends = []
    for step in steps(found):
        if step.applied:
            await found.apply(*step.applied)
        if step.deleted:
            await found.call("delete", *step.deleted)
        ends.append(await found.settled())
    return ends


@pytest.fixture
async def stage(tmp_path: Path, kubectl: Kubectl, operator_kubeconfig: Path, namespace: str) -> AsyncGenerator[Scene]:
    async with scene(tmp_path, kubectl, operator_kubeconfig, namespace, tuning=AS_IN_A_CONTAINER) as made:
        await made.begin()
        yield made


async def crash_everywhere(found: Scene, points: tuple[int, ...], whens: tuple[When, ...]) -> dict[str, Any]:
    """Figures; fails at the first point whose end is another."""
    ends = await undisturbed(found)
    recovery: dict[str, float] = {}
    async with load(found.port, found.host, path=STEADY, clients=2) as seen:
        for when in whens:
            for at in points:
                crash = Crash(found, at, when)
                took = await run(found, crash, ends)
                if not crash.killed_at:
                    break
                recovery[f"{at} {when} {crash.write}"] = round(took, 2)
                print(f"{at} {when}: {took:.2f} s", flush=True)
    times = sorted(recovery.values())
    return {
        "points": len(recovery),
        "requests": sum(seen.answers.values()),
        "failed": dict(seen.failed),
        "recovery_s": {"median": times[len(times) // 2], "max": times[-1]} if times else {},
        "each_s": recovery,
    }


@pytest.mark.timeout(180)
async def test_the_end_is_the_same_wherever_the_operator_is_killed(stage: Scene) -> None:
    told = await crash_everywhere(stage, QUICK, ("unanswered",))
    assert (told["points"], told["failed"]) == (len(QUICK), {}), told


@pytest.mark.long
@pytest.mark.timeout(3600)
async def test_the_end_is_the_same_at_every_write(stage: Scene, figures: Figures) -> None:
    told = await crash_everywhere(stage, tuple(range(1, MOST, EVERY)), ("unanswered", "answered"))
    took = told["recovery_s"]
    figures.put(
        "operator-killed",
        {
            "writes": "each" if EVERY == 1 else f"one of {EVERY}",
            "points": f"{told['points']}, at all of them the same end",
            "requests": f"{told['requests']}, failed: {sum(told['failed'].values())}",
            "until all is as it should be": f"median {took['median']} s, at most {took['max']} s",
        },
        holds=not told["failed"] and took["max"] <= RECOVERY_S,
        **told,
    )
    assert told["failed"] == {}, told
