"""The real operator in the test's own process, with real Envoys around it.

In: a temporary folder. Out: a `Gateway` whose files are edited as users edit them, and whose statuses are read as
users read them. Called by feature tests. Nothing sleeps: what is expected is polled for, with a deadline.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
from fastforward_operator.bootstrap import Operator, bootstrap
from fastforward_operator.pipeline import NewPipeline
from fastforward_operator.settings import Settings

from support.envoy import Answer, Connection, Envoy, start_envoy
from support.processes import free_port

T = TypeVar("T")
DEADLINE_S = 30.0
EDGE_PORT = 80


def edge(*hosts: str, name: str = "public", port: int = EDGE_PORT) -> str:
    return (
        f"apiVersion: gateway.fastforward.dev/v1alpha1\nkind: Edge\nmetadata: {{name: {name}}}\n"
        f"spec:\n  hosts: [{', '.join(f'{host!r}' for host in hosts)}]\n"
        f"  listeners: [{{name: http, port: {port}}}]\n  accessLog: false\n"
    )


def respond(name: str, host: str, body: str, *, path: str = "/") -> str:
    """A Route that answers by itself."""
    return (
        f"apiVersion: gateway.fastforward.dev/v1alpha1\nkind: Route\nmetadata: {{name: {name}}}\n"
        f"spec:\n  edges: [{{name: public}}]\n  hosts: ['{host}']\n"
        f"  rules:\n  - matches: [{{path: {{value: {path}}}}}]\n    respond: {{body: '{body}'}}\n"
    )


def proxy(name: str, host: str, *upstreams: str) -> str:
    """A Route to Upstreams."""
    return (
        f"apiVersion: gateway.fastforward.dev/v1alpha1\nkind: Route\nmetadata: {{name: {name}}}\n"
        f"spec:\n  edges: [{{name: public}}]\n  hosts: ['{host}']\n"
        f"  rules:\n  - upstreams: [{', '.join(f'{{name: {upstream}}}' for upstream in upstreams)}]\n"
    )


def upstream(name: str, port: int, more: str = "") -> str:
    return (
        f"apiVersion: gateway.fastforward.dev/v1alpha1\nkind: Upstream\nmetadata: {{name: {name}}}\n"
        f"spec:\n  endpoints: [{{address: 127.0.0.1, port: {port}}}]\n{more}"
    )


@dataclass(slots=True)
class DecisionService:
    """A real decision service, a process of its own."""

    name: str
    folder: Path
    operator: str
    process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        return self.folder / "decision.sock"

    def start(self) -> None:
        settings = {
            "FF_ENTRYPOINT_NODE": self.name,
            "FF_ENTRYPOINT_LISTEN": f"unix:{self.socket}",
            "FF_ENTRYPOINT_OPERATOR": self.operator,
            "FF_ENTRYPOINT_STATE_DIR": str(self.folder / "state"),
        }
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "fastforward_entrypoint"],
                env={**os.environ, **settings},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> None:
        """End it, frozen or not."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()


@dataclass(slots=True)
class Gateway:
    """An operator, its files, and the Envoys that a test starts."""

    folder: Path
    settings: Settings
    pipeline: NewPipeline | None = None
    operator: Operator = field(init=False)
    envoys: list[Envoy] = field(default_factory=list)
    decisions: list[DecisionService] = field(default_factory=list)

    @property
    def resources(self) -> Path:
        return self.folder / "resources"

    def write(self, name: str, *documents: str) -> None:
        """Put a file in place by renaming it, as editors do."""
        new = self.folder / f".{name}.new"
        new.write_text("\n---\n".join(documents))
        new.rename(self.resources / f"{name}.yaml")

    def remove(self, name: str) -> None:
        (self.resources / f"{name}.yaml").unlink()

    async def start(self) -> None:
        self.operator = bootstrap(self.settings, self.pipeline)
        await self.operator.start()

    async def restart(self) -> None:
        """A new operator over the same folders."""
        await self.operator.stop()
        await self.start()

    def start_envoy(self, name: str = "envoy") -> Envoy:
        """An Envoy on the test's port; further ones share it (SO_REUSEPORT), so ask them through their consoles."""
        found = start_envoy(
            name,
            self.folder / name,
            xds_socket=Path(self.settings.xds_target.removeprefix("unix:")),
            port=self.settings.ports[EDGE_PORT],
            decision_sockets=tuple(each.socket for each in self.decisions),
        )
        self.envoys.append(found)
        return found

    def start_decision_service(self, name: str = "decision") -> DecisionService:
        """A decision service; Envoys that are started later ask it."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        found = DecisionService(name, folder, self.settings.xds_target)
        found.start()
        self.decisions.append(found)
        return found

    async def stop(self) -> None:
        for each in (*self.envoys, *self.decisions):
            await asyncio.to_thread(each.stop)
        await self.operator.stop()

    async def api(self, path: str) -> dict[str, Any]:
        """A JSON answer of the operator's API."""
        url = f"http://127.0.0.1:{self.operator.api_port}{path}"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return await response.json()

    async def object(self, kind: str, name: str) -> dict[str, Any]:
        """What is said of one object; empty when nothing is."""
        found = await self.api(f"/v1/objects?kind={kind}&name={name}")
        return found["objects"][0] if found["objects"] else {}

    async def condition(self, kind: str, name: str, condition: str = "Programmed") -> dict[str, Any]:
        """One condition of an object; empty when there is none."""
        found = await self.object(kind, name)
        return next((each for each in found.get("conditions", ()) if each["type"] == condition), {})

    async def told(self, node: str = "envoy") -> dict[str, int]:
        """How many resources of each type a node was sent on its present stream; empty when it is not connected."""
        found = await self.api("/v1/proxies")
        nodes = [each for each in found["proxies"] if each["node"] == node and each["state"] != "joining"]
        return {kind: each["told"] for kind, each in nodes[0]["types"].items()} if nodes else {}

    async def programmed(self, kind: str, name: str, generation: int = 0) -> bool:
        """Whether an object is Programmed, at least in this generation."""
        found = await self.condition(kind, name)
        return found.get("status") == "True" and found["observedGeneration"] >= generation


@asynccontextmanager
async def gateway(
    folder: Path,
    *,
    pipeline: NewPipeline | None = None,
    port: int = 0,
    removal_grace_s: float = 2.0,
    decision_timeout_ms: int = 500,
) -> AsyncGenerator[Gateway]:
    """A running operator over an empty directory; everything ends with the block."""
    (folder / "resources").mkdir()
    made = Settings(
        directories=(folder / "resources",),
        state_dir=folder / "state",
        api_port=0,
        bind_address="127.0.0.1",
        ports={EDGE_PORT: port or free_port()},
        removal_grace_s=removal_grace_s,
        decision_timeout_ms=decision_timeout_ms,
    )
    running = Gateway(folder, made, pipeline)
    await running.start()
    try:
        yield running
    finally:
        await running.stop()


async def until(
    ask: Callable[[], Awaitable[T]], holds: Callable[[T], object], *, seconds: float = DEADLINE_S, every: float = 0.01
) -> T:
    """Ask until the answer is as expected; fails with the last answer."""
    deadline = time.monotonic() + seconds
    while True:
        answer = await ask()
        if holds(answer):
            return answer
        assert time.monotonic() < deadline, f"not within {seconds} s; the last answer was {answer}"
        await asyncio.sleep(every)


async def serves(envoy: Envoy, host: str, body: str, path: str = "/") -> Answer:
    """Wait until a request gets this body."""
    return await until(lambda: envoy.get(host, path), lambda answer: answer.body == body)


__all__ = ["Connection", "Envoy", "Gateway", "edge", "gateway", "proxy", "respond", "serves", "until", "upstream"]
