"""The webhook is down, silent, or its certificate ended: requests go on, and kinds differ as documented.

The quick tests of what becomes of writes meanwhile are in tests/cluster/test_admission_faults.py.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastforward_operator import certificates
from fastforward_operator.kubernetes import authority, webhookconfig

from support.admission import Admitting, admitting, closed, resource_of
from support.cluster.kubectl import Kubectl
from support.envoy import Envoy, start_envoy
from support.faults.figures import Figures, requests
from support.load import load
from support.operator import serves, until
from support.processes import free_port

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(900)]

ROUNDS = 3
OPEN_AGAIN_S = 5.0
AWAY_S = 5.0
LISTENER = 8080
"""None that the objects of each kind take, which are tried all the time."""
HOST = "webhook.example.com"
STEADY, SHOP = "/steady", "/shop"
Fault = Callable[[Admitting], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def down(found: Admitting) -> AsyncGenerator[None]:
    """Nobody listens where it was."""
    await found.configure(port=free_port())
    yield
    await found.configure()


@asynccontextmanager
async def silent(found: Admitting) -> AsyncGenerator[None]:
    """Whoever listens says nothing."""
    never = asyncio.Event()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await never.wait()
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    await found.configure(port=server.sockets[0].getsockname()[1])
    yield
    await found.configure()
    never.set()
    server.close()


@asynccontextmanager
async def expired(found: Admitting) -> AsyncGenerator[None]:
    """The operator's clock stood still for longer than a certificate holds."""
    own, late = found.authority, authority.LIFETIME + timedelta(minutes=1)
    normal = own.clock
    own.clock = lambda: datetime.now(UTC) - late
    # By another authority, so that a new certificate is shown; the API server believes both.
    old = certificates.new_authority("old", now=own.clock(), lifetime=authority.AUTHORITY_LIFETIME)
    own.held = authority.Held(current=old, bundle=(found.bundle, old.certificate))
    await found.configure()
    yield
    own.clock = normal


FAULTS: dict[str, Fault] = {"down": down, "silent": silent, "its certificate expired": expired}


def route(namespace: str, name: str, path: str, body: str) -> dict[str, Any]:
    rule = {"matches": [{"path": {"value": path}}], "respond": {"body": body}}
    spec = {"edges": [{"name": "public"}], "hosts": [HOST], "rules": [rule]}
    return resource_of(namespace, "Route", name, spec)


async def begin(found: Admitting, namespace: str) -> None:
    spec = {"hosts": [HOST], "listeners": [{"name": "web", "port": LISTENER}], "accessLog": False}
    for document in (
        resource_of(namespace, "Edge", "public", spec),
        route(namespace, "steady", STEADY, "steady"),
        route(namespace, "shop", SHOP, "0"),
    ):
        assert (await found.create(document)).taken


async def go_through(found: Admitting, envoy: Envoy, name: str, number: int) -> dict[str, Any]:
    """Without the webhook a Route changes; then it is back. Figures."""
    namespace, body = found.namespaces[0], f"{name} {number}"
    async with load(envoy.port, HOST, path=STEADY, clients=2) as seen:
        async with FAULTS[name](found):
            told = await found.until_closed()
            began = time.monotonic()
            changed = await found.api.replace(route(namespace, "shop", SHOP, body))
            taken = time.monotonic()
            await serves(envoy, HOST, body, SHOP)
            live = time.monotonic()
            await asyncio.sleep(AWAY_S)
        back = time.monotonic()
        await until(found.every_kind, lambda found: not closed(found), seconds=60)
        again = time.monotonic()
    return {
        "fault": name,
        "refused": sorted(closed(told)),
        "taken": sorted(told.keys() - closed(told)),
        "route_taken": changed.taken,
        "route_taken_s": round(taken - began, 2),
        "route_live_s": round(live - began, 2),
        "all_taken_again_s": round(again - back, 2),
        "requests": sum(seen.answers.values()),
        "failed": dict(seen.failed),
    }


def told_of(rounds: list[dict[str, Any]]) -> str:
    """For people."""
    return (
        f"a Route's change was taken within {max(each['route_taken_s'] for each in rounds)} s and live within "
        f"{max(each['route_live_s'] for each in rounds)} s; all kinds were taken within "
        f"{max(each['all_taken_again_s'] for each in rounds)} s after it was back"
    )


async def test_without_the_webhook_nobody_is_served_less(
    tmp_path: Path, kubectl: Kubectl, namespace: str, figures: Figures
) -> None:
    port = free_port()
    async with admitting(tmp_path, kubectl.kubeconfig, (namespace,), ports={LISTENER: port}) as found:
        await begin(found, namespace)
        envoy = start_envoy("envoy", tmp_path / "envoy", xds_socket=tmp_path / "state/xds.sock", port=port)
        try:
            await serves(envoy, HOST, "steady", STEADY)
            rounds = [
                await go_through(found, envoy, name, number) for name in FAULTS for number in range(1, ROUNDS + 1)
            ]
        finally:
            await asyncio.to_thread(envoy.stop)
    failed = {each["fault"]: each["failed"] for each in rounds if each["failed"]}
    apart = [each for each in rounds if set(each["refused"]) != webhookconfig.SECURITY or not each["route_taken"]]
    figures.put(
        "webhook-away",
        {
            "refused meanwhile": ", ".join(sorted({kind for each in rounds for kind in each["refused"]})),
            "taken meanwhile": ", ".join(sorted({kind for each in rounds for kind in each["taken"]})),
            **{name: told_of([each for each in rounds if each["fault"] == name]) for name in FAULTS},
            "requests": requests(rounds),
        },
        holds=not failed and not apart and all(each["all_taken_again_s"] <= OPEN_AGAIN_S for each in rounds),
        rounds=rounds,
    )
    assert (failed, apart) == ({}, [])
