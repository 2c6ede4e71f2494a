"""The authority's Secret on a real API server: made once, renewed by the leader, never written over when broken."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastforward_operator import certificates
from fastforward_operator.kubernetes import authority, rbac
from fastforward_operator.kubernetes.access import find_access
from fastforward_operator.kubernetes.authority import Authority, AuthorityError
from fastforward_operator.kubernetes.client import ApiError, Client

from support.cluster.kubectl import Kubectl

pytestmark = pytest.mark.slow

SECRET = ("secret", authority.NAME)


class Clock:
    """The same for all replicas of a test."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


@asynccontextmanager
async def replicas(kubeconfig: Path, namespace: str, *leads: bool) -> AsyncGenerator[tuple[Clock, list[Authority]]]:
    clock = Clock()
    async with Client(find_access(kubeconfig)) as client:
        yield clock, [Authority(client, namespace, lambda own=own: own, clock=clock) for own in leads]


def stored(kubectl: Kubectl, namespace: str) -> dict[str, Any]:
    return kubectl.get(*SECRET, "-n", namespace)


async def test_of_many_that_come_first_one_makes_it_and_all_hold_the_same(kubectl: Kubectl, namespace: str) -> None:
    async with replicas(kubectl.kubeconfig, namespace, *[False] * 8) as (_, found):
        await asyncio.gather(*(each.refresh() for each in found))
        held = authority.read_secret(stored(kubectl, namespace))
        assert [each.held for each in found] == [held] * 8
        assert all(each.ready.is_set() for each in found)


async def test_only_the_leader_renews_and_everybody_learns_of_it(kubectl: Kubectl, namespace: str) -> None:
    async with replicas(kubectl.kubeconfig, namespace, True, False) as (clock, (leader, other)):
        told: list[str] = []
        other.on_change.append(lambda: told.append(other.bundle))
        await leader.refresh()
        await other.refresh()
        assert other.held is not None
        old = other.held.current
        clock.now = certificates.renew_at(old.certificate)
        await other.refresh()
        assert other.held.following is None
        await leader.refresh()
        await other.refresh()
        assert leader.held == other.held
        assert (other.held.current, len(other.held.bundle)) == (old, 2)
        clock.now += authority.ANNOUNCED
        await leader.refresh()
        await other.refresh()
        assert other.held.current != old
        assert old.certificate in other.held.bundle
        assert len(told) == 3


async def test_two_leaders_that_renew_at_once_end_with_one_authority(kubectl: Kubectl, namespace: str) -> None:
    async with replicas(kubectl.kubeconfig, namespace, True, True) as (clock, (one, two)):
        await one.refresh()
        await two.refresh()
        clock.now += timedelta(days=250)
        await asyncio.gather(one.refresh(), two.refresh())
        held = authority.read_secret(stored(kubectl, namespace))
        assert one.held == two.held == held
        assert len(held.bundle) == 2


@pytest.mark.parametrize("broken", ["tls.key", "ca.crt"])
async def test_a_broken_secret_is_told_and_left_alone(kubectl: Kubectl, namespace: str, broken: str) -> None:
    async with replicas(kubectl.kubeconfig, namespace, True) as (clock, (leader,)):
        await leader.refresh()
        held = leader.held
        nonsense = base64.b64encode(b"nonsense").decode()
        kubectl("patch", *SECRET, "-n", namespace, "-p", f'{{"data": {{"{broken}": "{nonsense}"}}}}')
        before = stored(kubectl, namespace)
        clock.now += timedelta(days=500)
        with pytest.raises(AuthorityError, match=f"Secret {namespace}/fastforward-ca: {broken} "):
            await leader.refresh()
        assert stored(kubectl, namespace) == before
        assert leader.held == held


async def test_a_secret_that_was_deleted_is_written_as_it_was(kubectl: Kubectl, namespace: str) -> None:
    async with replicas(kubectl.kubeconfig, namespace, False) as (_, (found,)):
        await found.refresh()
        held = found.held
        kubectl("delete", *SECRET, "-n", namespace)
        await found.refresh()
        assert authority.read_secret(stored(kubectl, namespace)) == held


async def test_what_others_wrote_beside_it_stays(kubectl: Kubectl, namespace: str) -> None:
    async with replicas(kubectl.kubeconfig, namespace, True) as (clock, (leader,)):
        await leader.refresh()
        kubectl("label", *SECRET, "-n", namespace, "team=gateway")
        clock.now += timedelta(days=250)
        await leader.refresh()
        assert stored(kubectl, namespace)["metadata"]["labels"]["team"] == "gateway"
        assert leader.held is not None
        assert len(leader.held.bundle) == 2


async def test_the_operator_s_account_may_read_and_replace_it(kubectl: Kubectl, operator_kubeconfig: Path) -> None:
    async with replicas(operator_kubeconfig, rbac.NAMESPACE, True) as (_, (leader,)):
        await leader.refresh()
        assert leader.held is not None
        await leader.client.replace(leader._path, stored(kubectl, rbac.NAMESPACE))
        with pytest.raises(ApiError, match="403"):
            await leader.client.read(f"/api/v1/namespaces/kube-system/secrets/{authority.NAME}")
