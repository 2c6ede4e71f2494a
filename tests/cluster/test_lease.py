"""Of several candidates one leads, and takes over in time: a real API server, real time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fastforward_operator.kubernetes import rbac
from fastforward_operator.kubernetes.access import find_access
from fastforward_operator.kubernetes.client import Client
from fastforward_operator.kubernetes.lease import Election, lease_name

from support.eventually import eventually

pytestmark = pytest.mark.slow

TAKE_OVER_S = 5.0


class Candidate(Election):
    """One that may be frozen: then none of its tries comes to pass."""

    def __init__(self, client: Client, identity: str, name: str) -> None:
        super().__init__(client, identity, rbac.NAMESPACE, name, on_elected=self._note)
        self.awake = asyncio.Event()
        self.awake.set()
        self.elected_at: list[float] = []

    def _note(self) -> None:
        self.elected_at.append(time.monotonic())

    async def _try(self) -> None:
        await self.awake.wait()
        await super()._try()


@asynccontextmanager
async def candidates(kubeconfig: Path, name: str, *identities: str) -> AsyncGenerator[list[Candidate]]:
    async with Client(find_access(kubeconfig)) as client:
        made = [Candidate(client, identity, name) for identity in identities]
        tasks = [asyncio.create_task(each.run()) for each in made]
        try:
            yield made
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def leaders(of: list[Candidate]) -> list[str]:
    return [each.identity for each in of if each.leads]


async def test_one_of_three_leads_and_stays(operator_kubeconfig: Path, namespace: str) -> None:
    async with candidates(operator_kubeconfig, namespace, "a", "b", "c") as found:
        await eventually(lambda: leaders(found))
        first = leaders(found)
        assert len(first) == 1
        until = time.monotonic() + 2 * TAKE_OVER_S
        seen = set[tuple[str, ...]]()
        await eventually(lambda: seen.add(tuple(leaders(found))) or time.monotonic() > until)
        assert seen == {tuple(first)}


async def test_a_frozen_leader_leads_no_more_before_another_does(operator_kubeconfig: Path, namespace: str) -> None:
    async with candidates(operator_kubeconfig, namespace, "a", "b") as found:
        await eventually(lambda: leaders(found))
        (leader,) = (each for each in found if each.leads)
        (other,) = (each for each in found if not each.leads)
        leader.awake.clear()
        frozen_at = time.monotonic()
        most = 0
        while not other.elected_at:
            most = max(most, len(leaders(found)))
            await asyncio.sleep(0.005)
            assert time.monotonic() < frozen_at + 2 * TAKE_OVER_S
        assert other.elected_at[0] - frozen_at <= TAKE_OVER_S
        assert (most, leader.leads) == (1, False)
        leader.awake.set()
        until = time.monotonic() + 2.0
        await eventually(lambda: leaders(found) != [other.identity] or time.monotonic() > until)
        assert leaders(found) == [other.identity]


async def test_a_leader_that_ends_gives_the_lease_back(operator_kubeconfig: Path, namespace: str) -> None:
    async with candidates(operator_kubeconfig, namespace, "a") as found:
        await eventually(lambda: leaders(found))
    async with candidates(operator_kubeconfig, namespace, "b") as found:
        began = time.monotonic()
        await eventually(lambda: leaders(found))
        assert time.monotonic() - began < 1.5


def test_operators_of_other_namespaces_have_a_lease_of_their_own() -> None:
    assert lease_name(()) == "fastforward-operator"
    assert lease_name(("a", "b")) == lease_name(("b", "a")) != lease_name(("a",))
