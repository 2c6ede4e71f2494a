"""From kubectl apply to traffic and back to a status: a real API server, the real operator, a real Envoy."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastforward_operator.bootstrap import Operator, bootstrap
from fastforward_operator.kubernetes import rbac
from fastforward_operator.kubernetes.statuswriter import StatusWriter
from fastforward_operator.settings import Settings

from support.cluster.kubectl import Kubectl
from support.envoy import Envoy, start_envoy
from support.operator import EDGE_PORT, edge, respond, serves, until
from support.processes import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@dataclass(slots=True)
class Running:
    """An operator that follows an API server, and an Envoy that follows the operator."""

    kubectl: Kubectl
    namespace: str
    settings: Settings
    operator: Operator
    envoy: Envoy

    @property
    def host(self) -> str:
        return f"{self.namespace}.example.com"

    async def call(self, *arguments: str, stdin: str = "") -> str:
        return await asyncio.to_thread(self.kubectl, "-n", self.namespace, *arguments, stdin=stdin)

    async def apply(self, *documents: str) -> None:
        await self.call("apply", "--server-side", "-f", "-", stdin="\n---\n".join(documents))

    async def get(self, *arguments: str) -> dict[str, Any]:
        return json.loads(await self.call("get", *arguments, "-o", "json"))

    async def programmed(self, what: str) -> None:
        await self.call("wait", "--for=condition=Programmed", "--timeout=30s", what)

    def written(self) -> int:
        (writer,) = (sink for sink in self.operator.outside.sinks if isinstance(sink, StatusWriter))
        return writer.written


@asynccontextmanager
async def running(folder: Path, kubectl: Kubectl, kubeconfig: Path, namespace: str) -> AsyncGenerator[Running]:
    settings = Settings(
        provider="kubernetes",
        kubeconfig=kubeconfig,
        namespaces=(namespace,),
        state_dir=folder / "state",
        api_port=0,
        bind_address="127.0.0.1",
        ports={EDGE_PORT: free_port()},
    )
    operator = bootstrap(settings)
    await operator.start()
    socket = Path(settings.xds_target.removeprefix("unix:"))
    envoy = start_envoy("envoy", folder / "envoy", xds_socket=socket, port=settings.ports[EDGE_PORT])
    found = Running(kubectl, namespace, settings, operator, envoy)
    try:
        yield found
    finally:
        await asyncio.to_thread(envoy.stop)
        await found.operator.stop()


Start = Callable[[], AbstractAsyncContextManager[Running]]


@pytest.fixture
def start(tmp_path: Path, kubectl: Kubectl, operator_kubeconfig: Path, namespace: str) -> Start:
    """Starts an operator that may do what the generated roles say."""
    return lambda: running(tmp_path, kubectl, operator_kubeconfig, namespace)


async def test_kubectl_apply_changes_traffic_and_wait_sees_it(start: Start) -> None:
    async with start() as found:
        await found.apply(edge(found.host), respond("shop", found.host, "one"))
        await serves(found.envoy, found.host, "one")
        await found.programmed("route/shop")
        status = (await found.get("route", "shop"))["status"]
        assert (status["observedGeneration"], status["proxies"]) == (1, "1/1")
        assert [condition["type"] for condition in status["conditions"]] == ["Accepted", "ResolvedRefs", "Programmed"]
        await found.apply(respond("shop", found.host, "two"))
        await serves(found.envoy, found.host, "two")
        await until(lambda: found.get("route", "shop"), lambda shop: shop["status"]["observedGeneration"] == 2)
        await found.call("delete", "route", "shop")
        await until(lambda: found.envoy.get(found.host), lambda answer: answer.status == 404)


async def test_a_route_that_lacks_something_says_what(start: Start) -> None:
    async with start() as found:
        lost = yaml.safe_load(respond("lost", found.host, "x"))
        lost["spec"]["rules"] = [{"upstreams": [{"name": "nowhere"}]}]
        await found.apply(edge(found.host), respond("shop", found.host, "one", path="/shop"), yaml.safe_dump(lost))
        await serves(found.envoy, found.host, "one", "/shop")
        await found.call("wait", "--for=condition=ResolvedRefs=false", "--timeout=30s", "route/lost")
        (told,) = (c for c in (await found.get("route", "lost"))["status"]["conditions"] if c["type"] == "ResolvedRefs")
        assert told["reason"] == "UpstreamNotFound"
        assert f"Upstream {found.namespace}/nowhere was not found" in told["message"]
        described = await until(lambda: found.call("describe", "route", "lost"), lambda text: "Warning" in text)
        assert "UpstreamNotFound" in described.partition("Events:")[2]


async def test_a_restart_writes_and_sends_nothing(start: Start) -> None:
    async with start() as found:
        await found.apply(edge(found.host), *(respond(f"r{n}", found.host, str(n), path=f"/{n}") for n in range(20)))
        await found.call("wait", "--for=condition=Programmed", "--timeout=30s", "routes,edges", "--all")
        before = await found.get("routes")
        await found.operator.stop()
        found.operator = bootstrap(found.settings)
        await found.operator.start()
        await until(_programmed(found), lambda count: count == 21)
        # A change that is written proves that everything before it would have been.
        await found.apply(respond("r0", found.host, "new", path="/0"))
        await until(lambda: found.get("route", "r0"), lambda route: route["status"]["observedGeneration"] == 2)
        assert found.written() == 1
        after = await found.get("routes")
        assert _versions(after).items() >= {n: v for n, v in _versions(before).items() if n != "r0"}.items()


def _programmed(found: Running) -> Any:  # noqa: ANN401 - a coroutine function
    async def count() -> int:
        statuses = found.operator.board.statuses.items()
        return sum(ref.namespace == found.namespace and s.conditions[-1].status == "True" for ref, s in statuses)

    return count


def _versions(listed: dict[str, Any]) -> dict[str, str]:
    return {each["metadata"]["name"]: each["metadata"]["resourceVersion"] for each in listed["items"]}


@pytest.mark.parametrize(
    ("verb", "what", "allowed"),
    [
        ("list", "routes", "yes"),
        ("watch", "secrets", "yes"),
        ("patch", "routes/status", "yes"),
        ("patch", "routes", "no"),
        ("update", "routes/status", "no"),
        ("delete", "routes", "no"),
        ("create", "pods", "no"),
        ("list", "pods", "no"),
        ("get", "secrets", "no"),
        ("create", "events", "yes"),
        ("list", "events", "no"),
        ("patch", "secrets", "no"),
        ("list", "clusterroles", "no"),
    ],
)
def test_the_operator_may_do_what_it_needs_and_no_more(
    kubectl: Kubectl, operator_kubeconfig: Path, verb: str, what: str, allowed: str
) -> None:
    assert operator_kubeconfig.exists()
    user = f"system:serviceaccount:{rbac.NAMESPACE}:{rbac.NAME}"
    resource, _, part = what.partition("/")
    asked = ("auth", "can-i", verb, resource, "--as", user, "-A", *(("--subresource", part) if part else ()))
    assert kubectl.run(*asked).stdout.strip() == allowed
