"""Nodes over the network: each proves who it is, and a proxy is told of its own Edge and of nothing else."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from envoy.service.discovery.v3 import discovery_pb2
from fastforward_operator.bootstrap import Operator, bootstrap
from fastforward_operator.certificates import Subject, issue, new_authority
from fastforward_operator.kubernetes.authority import Authority, spiffe
from fastforward_operator.settings import Settings
from fastforward_operator.xds.store import LISTENER

from fastforward.snapshot.v1 import snapshot_pb2, snapshot_pb2_grpc
from support.cluster.kubectl import Kubectl
from support.envoy import Envoy
from support.nodes import OPERATOR, decision_service, envoy_of, fill
from support.operator import edge, proxy, respond, serves, until, upstream
from support.processes import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PORTS = {"front": 80, "staff": 81}
TIMEOUT_S = 10.0
REFUSED = ("PERMISSION_DENIED", "INTERNAL")
"""The latter where the stream is gone before the request is written."""


@dataclass(slots=True)
class Scene:
    """An operator over an API server, and the certificates that it signs."""

    folder: Path
    kubectl: Kubectl
    namespace: str
    settings: Settings
    operator: Operator

    @property
    def authority(self) -> Authority:
        assert self.operator.outside.authority is not None
        return self.operator.outside.authority

    async def apply(self, *documents: str) -> None:
        arguments = ("-n", self.namespace, "apply", "--server-side", "-f", "-")
        await asyncio.to_thread(self.kubectl, *arguments, stdin="\n---\n".join(documents))

    def certificate(self, noun: str, name: str, *, namespace: str = "", server: bool = False) -> Path:
        uri = spiffe(namespace or self.namespace, noun, name)
        signed = self.authority.issue(Subject(name=name, uris=(uri,), client=True, server=server))
        return fill(self.folder / f"tls-{noun}-{name}", signed, self.authority.bundle)

    def start_envoy(self, name: str, decision: int = 1) -> Envoy:
        return envoy_of(
            self.folder / name,
            self.certificate("edge", name),
            port=self.settings.ports[PORTS[name]],
            xds=self.operator.server.port,
            decision=("127.0.0.1", decision),
        )

    async def status(self, kind: str, name: str) -> Any:  # noqa: ANN401 - JSON
        found = await asyncio.to_thread(self.kubectl, "-n", self.namespace, "get", kind, name, "-o", "json")
        return json.loads(found).get("status", {})


@pytest.fixture
async def scene(tmp_path: Path, kubectl: Kubectl, operator_kubeconfig: Path, namespace: str) -> AsyncGenerator[Scene]:
    settings = Settings(
        provider="kubernetes",
        kubeconfig=operator_kubeconfig,
        namespaces=(namespace,),
        state_dir=tmp_path / "state",
        api_port=0,
        bind_address="127.0.0.1",
        ports={port: free_port() for port in PORTS.values()},
        xds_address="127.0.0.1:0",
        xds_tls=True,
        xds_names=(OPERATOR,),
    )
    operator = bootstrap(settings)
    await operator.start()
    await until(lambda: asyncio.sleep(0, operator.server.serving), bool)
    made = Scene(tmp_path, kubectl, namespace, settings, operator)
    yield made
    await operator.stop()


def reason(status: dict[str, Any]) -> str:
    """Why an object is programmed, or is not."""
    return status.get("conditions", [{}])[-1].get("reason", "")


@asynccontextmanager
async def stopping(envoy: Envoy) -> AsyncGenerator[Envoy]:
    try:
        yield envoy
    finally:
        await asyncio.to_thread(envoy.stop)


def two_edges(here: int) -> tuple[str, ...]:
    """Each with a Route to an Upstream of its own."""
    front, staff = ("front", "front.example.com"), ("staff", "staff.example.com")
    return (
        *(edge(host, name=name, port=PORTS[name]) for name, host in (front, staff)),
        *(upstream(f"{name}-books", here) for name, _ in (front, staff)),
        proxy("to-front", front[1], "front-books").replace("name: public}", "name: front}"),
        proxy("to-staff", staff[1], "staff-books").replace("name: public}", "name: staff}"),
        respond("hello", front[1], "hello", path="/hello").replace("name: public}", "name: front}"),
    )


async def test_a_route_waits_for_no_proxy_of_an_edge_that_only_shares_its_upstream(scene: Scene) -> None:
    edges = two_edges(free_port())
    await scene.apply(*(each.replace("[{name: staff-books}]", "[{name: front-books}]") for each in edges))
    async with stopping(scene.start_envoy("front")):
        programmed = await until(
            lambda: scene.status("route", "to-front"),
            lambda status: reason(status) == "Programmed",
        )
        assert programmed["proxies"] == "1/1"
        # Before the operator hears of the Routes, an Upstream that nobody uses is Programmed.
        await until(lambda: scene.status("upstream", "front-books"), lambda status: reason(status) == "NoProxies")
        # Nobody misses the proxies of an Edge that is gone.
        await asyncio.to_thread(scene.kubectl, "-n", scene.namespace, "delete", "edge", "staff")
        await until(lambda: scene.status("upstream", "front-books"), lambda status: reason(status) == "Programmed")
        lost = await until(lambda: scene.status("route", "to-staff"), lambda told: reason(told) == "EdgeNotFound")
        assert (lost["proxies"], lost["conditions"][-1]["message"]) == ("0/0", "It is not in use.")


async def test_a_proxy_is_told_of_its_own_edge_and_its_objects_wait_for_no_other(scene: Scene) -> None:
    await scene.apply(*two_edges(free_port()))
    async with stopping(scene.start_envoy("front")) as envoy:
        await serves(envoy, "front.example.com", "hello", "/hello")
        programmed = await until(
            lambda: scene.status("route", "to-front"), lambda status: status.get("proxies") == "1/1"
        )
        assert programmed["conditions"][-1]["reason"] == "Programmed"
        told = await until(lambda: scene.status("route", "to-staff"), lambda status: reason(status) == "NoProxies")
        assert told["conditions"][-1]["message"] == f"No proxy of Edge {scene.namespace}/staff is connected."
        dump = await envoy.admin("/config_dump?include_eds")
        assert "front-books" in dump
        assert "staff" not in dump
        async with stopping(scene.start_envoy("staff")) as other:
            await until(lambda: scene.status("route", "to-staff"), lambda status: status.get("proxies") == "1/1")
            assert "front" not in (await other.admin("/config_dump?include_eds"))


def channel(scene: Scene, folder: Path | None) -> grpc.aio.Channel:
    parts = {name: (folder / name).read_bytes() for name in ("tls.key", "tls.crt")} if folder else {}
    credentials = grpc.ssl_channel_credentials(
        scene.authority.bundle.encode(), parts.get("tls.key"), parts.get("tls.crt")
    )
    return grpc.aio.secure_channel(f"{OPERATOR}:{scene.operator.server.port}", credentials)


async def listeners(scene: Scene, folder: Path | None) -> str:
    """What comes of asking for listeners: the status code of gRPC, OK when there is an answer."""
    request = discovery_pb2.DeltaDiscoveryRequest(type_url=LISTENER)
    request.node.id = "node"
    async with channel(scene, folder) as opened:
        call = opened.stream_stream(
            "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
            request_serializer=discovery_pb2.DeltaDiscoveryRequest.SerializeToString,
            response_deserializer=discovery_pb2.DeltaDiscoveryResponse.FromString,
        )()
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            async with asyncio.timeout(TIMEOUT_S):
                await call.write(request)
                if await call.read() is not grpc.aio.EOF:
                    return "OK"
        return (await call.code()).name


async def snapshot(scene: Scene, folder: Path) -> str:
    async with channel(scene, folder) as opened:
        call = snapshot_pb2_grpc.SnapshotServiceStub(opened).StreamSnapshot()
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            async with asyncio.timeout(TIMEOUT_S):
                await call.write(snapshot_pb2.SnapshotRequest(node="node"))
                if await call.read() is not grpc.aio.EOF:
                    return "OK"
        return (await call.code()).name


async def test_who_proves_nothing_or_something_else_is_told_nothing(scene: Scene, tmp_path: Path) -> None:
    await scene.apply(*two_edges(free_port()))
    now = datetime.now(UTC)
    foreign = new_authority("somebody else", now=now, lifetime=timedelta(days=1))
    subject = Subject(name="node", uris=(spiffe(scene.namespace, "edge", "front"),), client=True)
    forged = fill(tmp_path / "forged", issue(foreign, subject, now=now, lifetime=timedelta(hours=1)), "")
    nameless = fill(
        tmp_path / "nameless", scene.authority.issue(Subject(name="front", hosts=("front",), client=True)), ""
    )
    old = fill(tmp_path / "old", scene.authority.issue(subject, timedelta(seconds=-1)), "")
    proxy_of, workload = scene.certificate("edge", "front"), scene.certificate("workload", "decision")
    assert await listeners(scene, proxy_of) == "OK"
    assert await snapshot(scene, workload) == "OK"
    assert await listeners(scene, None) == "UNAVAILABLE"
    assert await listeners(scene, forged) == "UNAVAILABLE"
    assert await listeners(scene, old) == "UNAVAILABLE"
    assert await listeners(scene, nameless) in REFUSED
    assert await listeners(scene, workload) in REFUSED
    assert await snapshot(scene, proxy_of) in REFUSED


def needs_decision(host: str) -> str:
    """A Route whose policy has a condition, which the decision service alone can judge."""
    return (
        "apiVersion: gateway.fastforward.dev/v1alpha1\nkind: AuthPolicy\nmetadata: {name: even}\n"
        "spec:\n  targets: [{kind: Route, name: guarded}]\n"
        "  authorization: {grants: [{name: even, condition: request.path.endsWith('2')}]}\n---\n"
        + respond("guarded", host, "guarded", path="/guarded").replace("name: public}", "name: front}")
    )


async def test_a_decision_service_answers_proxies_that_prove_who_they_are_and_nobody_else(scene: Scene) -> None:
    await scene.apply(*two_edges(free_port()), needs_decision("front.example.com"))
    port = free_port()
    workload = scene.certificate("workload", "decision", namespace="shop", server=True)
    with decision_service(scene.folder / "decision", workload, port=port, xds=scene.operator.server.port):
        async with stopping(scene.start_envoy("front", port)) as envoy:
            await serves(envoy, "front.example.com", "hello", "/hello")
            # 503 before the decision service is reached, 401 by its word.
            await until(lambda: envoy.get("front.example.com", "/guarded"), lambda answer: answer.status in (401, 403))
        assert await asked(scene, port, scene.certificate("edge", "front")) != b""
        assert await asked(scene, port, workload) == b""
        assert await asked(scene, port, None) == b""


async def asked(scene: Scene, port: int, folder: Path | None) -> bytes:
    """What a decision service says to one request; nothing when it hangs up."""
    tls = ssl.create_default_context(cadata=scene.authority.bundle)
    tls.check_hostname = False
    if folder is not None:
        tls.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    with suppress(OSError):
        async with asyncio.timeout(TIMEOUT_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            answer = await reader.read(100)
            writer.close()
            return answer
    return b""
