"""Envoys and operators in pods are upgraded, killed and frozen, while clients ask through the Service without a pause.

The charts run in a cluster with a node, an Edge has two Envoys. Every Envoy that comes to be Ready is asked at once, by
its own address, for everything that there is.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncGenerator, Generator, Iterable
from typing import Any, Literal

import pytest

from support.cluster.definition import Cluster
from support.cluster.images import load_archive
from support.cluster.kubectl import Kubectl
from support.cluster.shared import shared_cluster
from support.faults.clients import BROKEN, REFUSED, SILENT, Failure
from support.faults.figures import Figures
from support.faults.fleet import Replica
from support.faults.podscene import NAMESPACE, OPERATOR, SHOP, PodScene, install, pod_scene
from support.images.build import RECIPES, build
from support.operator import until

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(1200)]

UPGRADES, KILLS, FREEZES = 3, 4, 3
BACK_S = 3.0
REPLACED_S = 45.0
"""One that does not wake is found out after a quarter of a minute, and has some seconds to end."""
DYING_S = 0.2
"""For so long connections are still taken of a process that was killed, and then broken off."""
QUIET_S = 2.0
"""Between one fault and the next."""
SPREAD_S = 1.0
"""What the node may take from an address that the Service has not any more to no connection that goes there."""
How = Literal["killed", "taken away"]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Generator[Cluster]:
    """One of its own: operators are upgraded in it."""
    with shared_cluster(tmp_path_factory.mktemp("pods")) as running:
        for recipe in RECIPES:
            if recipe.name != "bookshop":
                load_archive(running, build(recipe))
        yield running


@pytest.fixture(scope="module")
def kubectl(cluster: Cluster) -> Kubectl:
    """The administrator's, with both charts installed."""
    made = Kubectl(cluster.kubeconfig)
    made("create", "namespace", NAMESPACE)
    install(made, "fastforward-crds")
    install(made, "fastforward")
    return made


@pytest.fixture
async def scene(cluster: Cluster, kubectl: Kubectl) -> AsyncGenerator[PodScene]:
    async with pod_scene(cluster, kubectl) as made:
        yield made


def by_kind(failures: Iterable[Failure]) -> str:
    """For people."""
    found = Counter(map(str, failures))
    return ", ".join(f"{count} {kind}" for kind, count in sorted(found.items())) or "0"


def at_most(times: Iterable[float]) -> str:
    return f"within {max(times):.2f} s"


def firsts(scene: PodScene) -> str:
    """How new Envoys began."""
    return f"{len(scene.fleet.asked)} times {len(scene.fleet.wanted)}, wrong: {len(scene.fleet.wrong)}"


async def quiet(scene: PodScene) -> None:
    """Whatever there was is over, and can't be taken for a consequence of what comes."""
    await scene.fleet.settled()
    await asyncio.sleep(QUIET_S)


async def upgrade_operators(scene: PodScene, number: int) -> float:
    """Seconds until all replicas are new; a change is live after it."""
    began = time.monotonic()
    changed = ("--set", f"operator.podAnnotations.changed=n{number}")
    await asyncio.to_thread(install, scene.kubectl, "fastforward", *changed)
    await scene.call("-n", NAMESPACE, "rollout", "status", OPERATOR, "--timeout=90s", seconds=100)
    took = time.monotonic() - began
    await scene.change(f"upgrade {number}")
    await until(scene.told, lambda told: told == ("True", "2/2"), seconds=60)
    return took


async def upgrade_envoys(scene: PodScene, number: int) -> float:
    """Seconds until all are new and the old ones gone."""
    began = time.monotonic()
    await scene.resize(100 + number)
    return time.monotonic() - began


async def test_upgrades_lose_no_request(scene: PodScene, figures: Figures) -> None:
    took: dict[str, list[float]] = {"operators": [], "envoys": []}
    lost: dict[str, list[Failure]] = {}
    for number in range(1, UPGRADES + 1):
        took["operators"].append(await upgrade_operators(scene, number))
        lost["operators"] = list(scene.clients.failures)
        took["envoys"].append(await upgrade_envoys(scene, number))
        lost["envoys"] = [each for each in scene.clients.failures if each not in lost["operators"]]
        await quiet(scene)
    figures.put(
        "pods-upgraded",
        {
            "upgrades": f"{UPGRADES} of operators ({at_most(took['operators'])} each), "
            f"{UPGRADES} of Envoys ({at_most(took['envoys'])} each)",
            "requests": f"{scene.clients.requests}, failed: {by_kind(scene.clients.failures)}",
            "first answers of new Envoys": firsts(scene),
        },
        holds=not scene.clients.failures and not scene.fleet.wrong,
        took_s=took,
        answered=scene.clients.answered,
    )
    assert (scene.clients.failed(), scene.fleet.wrong) == ({}, [])


async def end(scene: PodScene, how: How, victim: Replica) -> float:
    """When it was done."""
    if how == "killed":
        pid = await asyncio.to_thread(lambda: victim.pid)
        began = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        return began
    began = time.monotonic()
    await scene.call("-n", NAMESPACE, "delete", "pod", victim.pod, "--force", "--grace-period=0")
    return began


async def lose_one(scene: PodScene, how: How) -> dict[str, Any]:
    """Of two Envoys; figures."""
    await quiet(scene)
    # A container that ends a second time waits before it is started again: whoever did once is taken away.
    ready = sorted(scene.fleet.now.ready, key=lambda each: each.restarts)
    victim = ready[0] if how == "killed" else ready[-1]
    first = len(scene.clients.failures)
    began = await end(scene, how, victim)
    sight = await scene.fleet.until_whole(frozenset({victim}))
    await quiet(scene)
    failures = scene.clients.failures[first:]
    left_out = scene.fleet.left_out(victim.address, began)
    return {
        "how": how,
        "left_out_s": round(left_out, 2),
        "back_s": round(sight.at - began, 2),
        "on_their_way": sum(each.kind == BROKEN and each.began <= began + DYING_S for each in failures),
        "refused": sum(each.kind == REFUSED for each in failures),
        "late": [str(each) for each in failures if each.began > began + left_out + SPREAD_S],
        "failed": dict(Counter(map(str, failures))),
    }


async def test_of_an_envoy_that_ends_only_its_own_requests_fail(scene: PodScene, figures: Figures) -> None:
    hows: tuple[How, ...] = ("killed", "taken away")
    rounds = [await lose_one(scene, how) for _ in range(KILLS) for how in hows]
    figures.put(
        "envoy-killed",
        {
            "requests": f"{scene.clients.requests}, failed: {by_kind(scene.clients.failures)}",
            **{f"{how} {KILLS} times": told([each for each in rounds if each["how"] == how]) for how in hows},
            "first answers of new Envoys": firsts(scene),
        },
        holds=all(each["back_s"] <= BACK_S and each["on_their_way"] == sum(each["failed"].values()) for each in rounds)
        and not scene.fleet.wrong,
        rounds=rounds,
        answered=scene.clients.answered,
    )
    assert scene.fleet.wrong == []
    assert {each.kind for each in scene.clients.failures} <= {BROKEN, REFUSED}
    assert [each["late"] for each in rounds if each["late"]] == []


def told(rounds: list[dict[str, Any]]) -> str:
    on_their_way = sum(each["on_their_way"] for each in rounds)
    refused = sum(each["refused"] for each in rounds)
    return (
        f"{on_their_way} requests on their way failed, {refused} connections were refused, the Service left it out "
        f"{at_most(each['left_out_s'] for each in rounds)}, two were Ready {at_most(each['back_s'] for each in rounds)}"
    )


async def freeze_one(scene: PodScene, number: int) -> dict[str, Any]:
    """Of two Envoys, until a change is Programmed without it and nobody is sent to it; then it wakes. Figures."""
    await quiet(scene)
    victim = min(scene.fleet.now.ready)
    pid, first, body = await asyncio.to_thread(lambda: victim.pid), len(scene.clients.failures), f"frozen {number}"
    began = time.monotonic()
    os.kill(pid, signal.SIGSTOP)
    try:
        await scene.change(body)
        without = await until(scene.told, lambda told: told[0] == "True", seconds=60)
        programmed = time.monotonic()
        await scene.fleet.until(lambda sight: victim.address not in sight.sent_to)
        # Its clients lose their patience one by one.
        await asyncio.sleep(SPREAD_S)
        await scene.change(f"{body}, later")
        await until(scene.told, lambda told: told == ("True", "1/1"), seconds=60)
    finally:
        os.kill(pid, signal.SIGCONT)
    woke = time.monotonic()
    stale, right = await scene.fleet.right(victim, SHOP)
    await until(scene.told, lambda told: told == ("True", "2/2"), seconds=60)
    counts = time.monotonic()
    sight = await scene.fleet.until_whole()
    await quiet(scene)
    failures = scene.clients.failures[first:]
    left_out = scene.fleet.left_out(victim.address, began)
    return {
        "programmed_s": round(programmed - began, 2),
        "proxies": without[1],
        "left_out_s": round(left_out, 2),
        "stale_s": round(stale, 2),
        "right_s": round(right, 2),
        "counts_again_s": round(counts - woke, 2),
        "sent_to_again_s": round(max(0.0, sight.at - woke), 2),
        "restarted": victim not in sight.ready,
        "unanswered": sum(each.kind == SILENT for each in failures),
        "late": [str(each) for each in failures if each.began > began + left_out + SPREAD_S],
        "failed": dict(Counter(map(str, failures))),
    }


async def freeze_for_good(scene: PodScene) -> float:
    """Seconds until the node has started another one in its place."""
    await quiet(scene)
    victim = min(scene.fleet.now.ready)
    await asyncio.to_thread(victim.send, signal.SIGSTOP)
    began = time.monotonic()
    sight = await scene.fleet.until_whole(frozenset({victim}), seconds=120)
    return sight.at - began


async def test_an_envoy_that_is_frozen_holds_nothing_up(scene: PodScene, figures: Figures) -> None:
    rounds = [await freeze_one(scene, number) for number in range(1, FREEZES + 1)]
    replaced_s = await freeze_for_good(scene)
    unanswered = {each.kind for each in scene.clients.failures} <= {SILENT}
    late = [each["late"] for each in rounds if each["late"]]
    figures.put(
        "envoy-frozen",
        {
            "freezes": str(FREEZES),
            "a change is Programmed without it": at_most(each["programmed_s"] for each in rounds)
            + f", of {', '.join(sorted({each['proxies'] for each in rounds}))} proxies",
            "the Service leaves it out": at_most(each["left_out_s"] for each in rounds),
            "it wakes, and has what changed meanwhile": at_most(each["right_s"] for each in rounds)
            + f", the Route says 2/2 {at_most(each['counts_again_s'] for each in rounds)}",
            "it does not wake, and another one is Ready": f"after {replaced_s:.1f} s",
            "requests": f"{scene.clients.requests}, failed: {by_kind(scene.clients.failures)}",
            "first answers of new Envoys": firsts(scene),
        },
        holds=unanswered and not late and not scene.fleet.wrong and all(each["proxies"] == "1/1" for each in rounds),
        note="One that wakes answers as before it fell asleep until it is connected again, which the Service does not "
        f"wait for: for {max(each['stale_s'] for each in rounds):.2f} s at most here.",
        rounds=rounds,
        replaced_s=round(replaced_s, 2),
        answered=scene.clients.answered,
    )
    assert replaced_s <= REPLACED_S
    assert {each["proxies"] for each in rounds} == {"1/1"}
    assert (unanswered, late, scene.fleet.wrong) == (True, [], [])


async def test_without_operators_a_new_envoy_is_not_ready_and_one_that_says_so_is_found_out(scene: PodScene) -> None:
    """What these tests see would go wrong if readiness meant less."""
    await scene.call("-n", NAMESPACE, "scale", OPERATOR, "--replicas=0")
    await scene.call("-n", NAMESPACE, "wait", "--for=delete", "pod", "-l", "app.kubernetes.io/component=operator")
    try:
        victim = min(scene.fleet.now.ready)
        await scene.call("-n", NAMESPACE, "delete", "pod", victim.pod, "--wait=false")
        await scene.fleet.until(lambda sight: victim not in sight.ready)
        with pytest.raises(AssertionError, match="not within"):
            await scene.fleet.until_whole(seconds=15.0)
        assert scene.clients.failed() == {}
        assert scene.fleet.wrong == []
        probe = {"name": "envoy", "readinessProbe": {"httpGet": {"path": "/healthz"}}}
        patch = {"spec": {"template": {"spec": {"containers": [probe]}}}}
        await scene.patch(patch)
        await until(lambda: asyncio.sleep(0, scene.fleet.wrong), bool, seconds=60)
        await until(lambda: asyncio.sleep(0, scene.clients.failures), bool, seconds=60)
    finally:
        await scene.call("-n", NAMESPACE, "scale", OPERATOR, "--replicas=2")
    await scene.fleet.until_whole(seconds=120)
    await until(scene.told, lambda told: told == ("True", "2/2"), seconds=60)
