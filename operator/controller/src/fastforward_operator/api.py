"""The operator's HTTP API, on loopback by default: what is there, what is said of it, who has it; health and metrics.

In: GET requests, of callers that callers.py lets through. Out: JSON, Prometheus text, a stream of events. Called by the
CLI, the live screen and monitoring. Nothing can be changed here. What only EntryPoints know, they are asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from fastforward_compiler.problem import ObjectRef
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from fastforward.inspection.v1 import inspection_pb2
from fastforward.snapshot.v1 import snapshot_pb2

from .callers import only_own
from .objectstatus import ObjectStatus
from .presentation import (
    Locate,
    present,
    present_envoy,
    present_nodes,
    present_snapshot,
    present_told,
    snapshot_without_secrets,
)
from .reconcile import Reconciler
from .status import StatusBoard
from .telemetry import Metrics
from .xds.server import XdsServer
from .xds.store import Store

_MAX_QUEUE = 20_000
_PING_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """What the handlers read."""

    reconciler: Reconciler
    board: StatusBoard
    store: Store
    server: XdsServer
    metrics: Metrics
    locate: Locate
    blind: Callable[[], list[str]]
    """Kinds of which nothing has been heard for too long."""
    hosts: Collection[str] = ()
    """Further hosts that it goes by."""

    def application(self) -> web.Application:
        """The routes, read top to bottom."""
        application = web.Application(middlewares=[only_own(self.hosts)])
        application.add_routes(
            [
                web.get("/healthz", self.healthz),
                web.get("/readyz", self.readyz),
                web.get("/metrics", self.metrics_text),
                web.get("/v1/objects", self.objects),
                web.get("/v1/proxies", self.proxies),
                web.get("/v1/hops", self.hops),
                web.get("/v1/messages/{id}", self.messages),
                web.get("/v1/snapshot", self.snapshot),
                web.get("/v1/render", self.render),
                web.get("/v1/events", self.events),
            ]
        )
        return application

    def probes(self) -> web.Application:
        """Only what probes and scrapers ask, without a look at who they are."""
        application = web.Application()
        application.add_routes(
            [
                web.get("/healthz", self.healthz),
                web.get("/readyz", self.readyz),
                web.get("/metrics", self.metrics_text),
            ]
        )
        return application

    async def healthz(self, _: web.Request) -> web.Response:
        """Alive: the event loop answers, and every watch has been heard of."""
        blind = self.blind()
        if blind:
            return web.json_response({"status": "watches are blind", "kinds": blind}, status=503)
        return web.json_response({"status": "ok"})

    async def readyz(self, _: web.Request) -> web.Response:
        """Ready: everything there is has been compiled and handed to the xDS server."""
        if self.reconciler.first_step.is_set() and self.server.serving:
            return web.json_response({"status": "ready", "world": self.reconciler.world})
        waits = "certificate of the xDS server" if self.reconciler.first_step.is_set() else "first compile"
        return web.json_response({"status": f"waiting for the {waits}"}, status=503)

    async def metrics_text(self, _: web.Request) -> web.Response:
        """Prometheus text."""
        self.metrics.nodes.labels("envoy").set(sum(self.board.envoys.values()))
        self.metrics.nodes.labels("decision").set(self.board.decisions)
        text = generate_latest(self.metrics.exposed())
        return web.Response(body=text, headers={"content-type": CONTENT_TYPE_LATEST})

    async def objects(self, request: web.Request) -> web.Response:
        """Objects and their statuses, sorted; `kind`, `namespace` and `name` narrow them down."""
        wanted = [
            status
            for ref, status in sorted(self.board.statuses.items())
            if all(request.query.get(part, getattr(ref, part)) == getattr(ref, part) for part in _PARTS)
        ]
        return await _objects([(status, self.board.proxies(status.ref)) for status in wanted], self.locate)

    async def proxies(self, _: web.Request) -> web.Response:
        """Connected nodes and what they acknowledged."""
        return web.json_response({"proxies": await self.server.inspect(present_nodes)})

    async def hops(self, _: web.Request) -> web.Response:
        """Hops of EntryPoints, as they are now."""
        inquiry = inspection_pb2.Inquiry(hops=inspection_pb2.AllHops())
        return web.json_response(present_told(await self.server.ask(inquiry), "hops"))

    async def messages(self, request: web.Request) -> web.Response:
        """What EntryPoints remember of a message, or of those of a request or a trace, by its id."""
        inquiry = inspection_pb2.Inquiry(id=request.match_info["id"])
        told = present_told(await self.server.ask(inquiry), "ways")
        return web.json_response({"messages": told.pop("ways"), **told})

    async def snapshot(self, request: web.Request) -> web.Response:
        """The decision snapshot without secrets; with `Accept: application/x-protobuf` as one SnapshotDelta."""
        resources = self.store.copy()
        if "application/x-protobuf" in request.headers.get("accept", ""):
            return await _serialised(resources)
        return await _rendered("decision", resources)

    async def render(self, request: web.Request) -> web.Response:
        """What one target gets: `target=envoy` (default) or `target=decision`."""
        target = request.query.get("target", "envoy")
        if target not in ("envoy", "decision"):
            return web.json_response({"error": "target is envoy or decision"}, status=400)
        return await _rendered(target, self.store.copy())

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Statuses that change, as server-sent events; `event: object` or `event: gone`."""
        response = web.StreamResponse(headers={"content-type": "text/event-stream", "cache-control": "no-store"})
        queue: asyncio.Queue[tuple[ObjectRef, ObjectStatus | None]] = asyncio.Queue(_MAX_QUEUE)
        # First: who has the head of the answer, and then asks for what there is, must miss nothing.
        stop = self.board.subscribe(lambda ref, status: _offer(queue, ref, status))
        try:
            await response.prepare(request)
            while True:
                try:
                    async with asyncio.timeout(_PING_S):
                        ref, status = await queue.get()
                except TimeoutError:
                    await response.write(b": still here\n\n")
                    continue
                await response.write(_event(ref, status, self.board.proxies(ref), self.locate))
        except (ConnectionError, asyncio.CancelledError):
            return response
        finally:
            stop()


_PARTS = ("kind", "namespace", "name")


def _offer(
    queue: asyncio.Queue[tuple[ObjectRef, ObjectStatus | None]], ref: ObjectRef, status: ObjectStatus | None
) -> None:
    """A listener that does not keep up misses events rather than holding up everybody."""
    with contextlib.suppress(asyncio.QueueFull):
        queue.put_nowait((ref, status))


def _event(ref: ObjectRef, status: ObjectStatus | None, proxies: tuple[int, int], locate: Locate) -> bytes:
    if status is None:
        return _line("gone", {part: getattr(ref, part) for part in _PARTS})
    return _line("object", present(status, proxies, locate))


def _line(event: str, value: Mapping[str, Any]) -> bytes:
    return f"event: {event}\ndata: {json.dumps(value)}\n\n".encode()


async def _objects(statuses: list[tuple[ObjectStatus, tuple[int, int]]], locate: Locate) -> web.Response:
    """Made in a thread: ten thousand statuses, and the files of those with problems, take a while."""

    def make() -> bytes:
        return json.dumps({"objects": [present(status, proxies, locate) for status, proxies in statuses]}).encode()

    return web.Response(body=await asyncio.to_thread(make), content_type="application/json")


async def _rendered(target: str, resources: Mapping[str, Any]) -> web.Response:
    def make() -> bytes:
        found = present_envoy(resources) if target == "envoy" else present_snapshot(resources)
        return json.dumps({"resources": list(found)}).encode()

    return web.Response(body=await asyncio.to_thread(make), content_type="application/json")


async def _serialised(resources: Mapping[str, Any]) -> web.Response:
    def make() -> bytes:
        delta = snapshot_pb2.SnapshotDelta(resources=snapshot_without_secrets(resources))
        return delta.SerializeToString(deterministic=True)

    return web.Response(body=await asyncio.to_thread(make), content_type="application/x-protobuf")
