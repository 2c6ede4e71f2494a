"""What becomes of writes while the webhook is away, shows a bad certificate, or changes the one that it shows."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import fastforward_crds as crds
import pytest
from fastforward_operator import certificates
from fastforward_operator.kubernetes import authority, webhookconfig

from support.admission import SPECS, Admitting, admitting, closed, resource_of
from support.cluster.kubectl import Kubectl
from support.operator import until
from support.processes import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
async def scene(tmp_path: Path, kubectl: Kubectl, namespace: str) -> AsyncGenerator[Admitting]:
    async with admitting(tmp_path, kubectl.kubeconfig, (namespace,)) as found:
        yield found


def test_there_is_an_object_of_every_kind() -> None:
    assert set(SPECS) == {kind.name for kind in crds.KINDS}


async def test_while_the_webhook_is_down_security_kinds_are_closed_and_others_open(scene: Admitting) -> None:
    assert closed(await scene.every_kind()) == set()
    await scene.configure(port=free_port())
    told = await scene.until_closed()
    assert closed(told) == webhookconfig.SECURITY
    for kind in webhookconfig.SECURITY:
        assert told[kind].status == 500
        assert webhookconfig.NEEDED in told[kind].message
        assert "connection refused" in told[kind].message


async def test_what_was_taken_unjudged_is_judged_by_its_status(scene: Admitting, namespace: str) -> None:
    await scene.configure(port=free_port())
    broken = resource_of(namespace, "Upstream", "u", {"endpoints": [{"address": "10.0.0.999", "port": 80}]})
    await until(lambda: scene.api.create(broken), lambda told: told.taken)

    async def reasons() -> list[str]:
        statuses = [each for ref, each in scene.operator.board.statuses.items() if ref.name == "u"]
        return [str(problem.reason) for each in statuses for problem in each.problems]

    assert await until(reasons, bool) == ["Invalid"]


async def test_deletions_and_repairs_go_on_while_the_webhook_is_down(scene: Admitting, namespace: str) -> None:
    edge = resource_of(namespace, "Edge", "public", SPECS["Edge"])
    assert (await scene.create(edge)).taken
    await scene.configure(port=free_port())
    await scene.until_closed()
    labelled = {**edge, "metadata": {**edge["metadata"], "labels": {"a": "b"}}}
    assert (await scene.api.replace(labelled)).taken
    assert (await scene.api.delete(edge)).taken


async def test_a_namespace_can_be_let_off(scene: Admitting, kubectl: Kubectl, namespace: str) -> None:
    await scene.configure(port=free_port())
    await scene.until_closed()
    kubectl("label", "namespace", namespace, f"{webhookconfig.OFF}=off")
    await until(scene.every_kind, lambda told: not closed(told))


async def test_a_certificate_that_ended_closes_security_kinds_and_a_new_one_opens_them(scene: Admitting) -> None:
    """An operator whose clock stood still for longer than a certificate holds."""
    own, late = scene.authority, authority.LIFETIME + timedelta(minutes=1)
    own.clock = lambda: datetime.now(UTC) - late
    # By another authority, so that a new certificate is shown; the API server believes both.
    old = certificates.new_authority("old", now=own.clock(), lifetime=authority.AUTHORITY_LIFETIME)
    own.held = authority.Held(current=old, bundle=(scene.bundle, old.certificate))
    await scene.configure()
    told = await scene.until_closed()
    assert closed(told) == webhookconfig.SECURITY
    assert "certificate has expired" in told["Edge"].message
    own.clock = lambda: datetime.now(UTC)
    await until(scene.every_kind, lambda found: not closed(found))


async def test_who_shows_another_name_is_refused(tmp_path: Path, kubectl: Kubectl, namespace: str) -> None:
    """Here the API server is not whom the operator was told to answer."""
    made = admitting(tmp_path, kubectl.kubeconfig, (namespace,), answers=False, webhook_client_name="somebody-else")
    async with made as found:
        told = await found.until_closed()
        assert closed(told) == webhookconfig.SECURITY
        assert "this certificate is not its own" in told["Edge"].message


async def test_where_the_api_server_shows_no_certificate_anybody_can_be_answered(
    tmp_path: Path, kubectl: Kubectl, namespace: str
) -> None:
    async with admitting(tmp_path, kubectl.kubeconfig, (namespace,), webhook_anybody=True) as found:
        url = f"https://127.0.0.1:{found.port}{webhookconfig.PATH}"
        context = ssl.create_default_context(cadata=found.bundle)
        async with aiohttp.ClientSession() as session, session.post(url, json={}, ssl=context) as response:
            assert response.status == 400


async def test_no_write_fails_while_authority_and_certificates_change(scene: Admitting, namespace: str) -> None:
    own, failed, done = scene.authority, [], asyncio.Event()
    own.leads = lambda: True
    announcer = webhookconfig.Announcer(own.client, own, own.leads, name=scene.name)
    written = 0

    async def write() -> None:
        nonlocal written
        while not done.is_set():
            tenant = resource_of(namespace, "Tenant", f"t{written % 50}", {"plan": f"p{written}"})
            told = await scene.api.create(tenant, dry=True)
            failed.extend([] if told.taken else [told.message])
            written += 1

    writers = [asyncio.create_task(write()) for _ in range(4)]
    offset, seen = timedelta(), set()
    own.clock = lambda: datetime.now(UTC) + offset
    real = datetime.now(UTC)
    for _ in range(4):
        assert own.held is not None
        seen.add(own.held.current.certificate)
        # The API server's clock is real: a new authority of the future would be no good to it. So it is made now.
        own.held = replaced(own.held, real)
        await announcer.announce()
        await asyncio.sleep(0.5)
        own.held = promoted(own.held)
        await asyncio.sleep(1.0)
    done.set()
    await asyncio.gather(*writers)
    assert failed == []
    assert written > 100
    assert len(seen) == 4


def replaced(held: authority.Held, now: datetime) -> authority.Held:
    """With a new authority announced."""
    new = authority.first(now).current
    return authority.Held(current=held.current, following=new, bundle=(*held.bundle, new.certificate))


def promoted(held: authority.Held) -> authority.Held:
    """The announced one signs."""
    assert held.following is not None
    return authority.Held(current=held.following, bundle=held.bundle)
