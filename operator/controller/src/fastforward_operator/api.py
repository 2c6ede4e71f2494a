"""The operator's HTTP API, on loopback by default: what is there, what is said of it, who has it; health and metrics.

In: GET requests, of callers that callers.py lets through. Out: JSON, Prometheus text, a stream of events, and the page
that shows all this in a browser. Called by the CLI, the live screen, that page and monitoring. Nothing can be changed
here. What only EntryPoints know, they are asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ETag, web
from fastforward_compiler.generate import read_meanings
from fastforward_compiler.problem import ObjectRef, Reason
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from fastforward.inspection.v1 import inspection_pb2

from . import page
from .callers import only_own
from .objectstatus import ObjectStatus
from .presentation import (
    Locate,
    hosts_of,
    present,
    present_envoy,
    present_nodes,
    present_snapshot,
    present_told,
    serialise_snapshot,
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
    recent: page.Recent
    """What changed lately; it hears of what the board says."""
    hosts: Collection[str] = ()
    """Further hosts that it goes by."""
    explainer: page.Explainer = field(default_factory=page.Explainer)

    def application(self) -> web.Application:
        """The routes, read top to bottom."""
        application = web.Application(middlewares=[only_own(self.hosts)])
        application.on_response_prepare.append(_forbid)
        application.add_routes(
            [
                *page.routes(),
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
                web.get("/v1/reasons", self.reasons),
                web.get("/v1/map", self.host_map),
                web.get("/v1/explain", self.explain),
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
        """Objects and their statuses, sorted; `kind`, `namespace` and `name` narrow them down.

        `since`, the mark of an earlier answer, leaves out what has not changed; `complete` says whether it could.
        """
        envoys, board = self.board.envoys, self.board
        changed = self.recent.since(request.query.get("since", ""), envoys)
        refs = [
            ref
            for ref in sorted(board.statuses if changed is None else changed)
            if all(request.query.get(part, getattr(ref, part)) == getattr(ref, part) for part in _PARTS)
        ]
        known = [(status, board.proxies(ref)) for ref in refs if (status := board.statuses.get(ref)) is not None]
        rest = {
            "gone": [_parts(ref) for ref in refs if ref not in board.statuses],
            "complete": changed is None,
            "since": self.recent.mark(envoys),
        }
        # Each is looked up here: the loop changes what is kept.
        kept = [self.reconciler.kept(status.ref) for status, _ in known]
        locate = self.locate

        def make() -> bytes:
            found = [
                {**present(status, proxies, locate), "hosts": hosts_of(packed)}
                for (status, proxies), packed in zip(known, kept, strict=True)
            ]
            return json.dumps({"objects": found, **rest}).encode()

        return await _made(make)

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
            return await _made(lambda: serialise_snapshot(resources), "application/x-protobuf")
        return await _rendered("decision", resources)

    async def render(self, request: web.Request) -> web.Response:
        """What one target gets: `target=envoy` (default) or `target=decision`."""
        target = request.query.get("target", "envoy")
        if target not in ("envoy", "decision"):
            return web.json_response({"error": "target is envoy or decision"}, status=400)
        return await _rendered(target, self.store.copy())

    async def reasons(self, _: web.Request) -> web.Response:
        """What each reason means, and what to do."""
        meanings = read_meanings()
        return web.json_response({"reasons": {str(reason): meanings[reason.name] for reason in Reason}})

    async def host_map(self, request: web.Request) -> web.Response:
        """Which host leads by whose rules to which upstreams; 304 when that is as `If-None-Match` says."""
        resources = self.store.copy()
        tag = await asyncio.to_thread(page.tag_of, resources)
        if ETag(value=tag) in (request.if_none_match or ()):
            response = web.Response(status=304)
        else:
            response = await _made(lambda: json.dumps(page.present_map(resources)).encode())
        response.etag = tag
        return response

    async def explain(self, request: web.Request) -> web.Response:
        """What `ff explain request` says of `method` and `url`, by the client's `address`, at `listener`."""
        try:
            if not self.reconciler.first_step.is_set():
                raise page.ExplanationError(503, "Nothing has been compiled yet: ask again in a moment.")
            question = page.Question.read(request.query, request.headers.get(page.HEADER_LINES, "[]"))
            body = await self.explainer.explain(question, lambda: serialise_snapshot(self.store.copy()))
        except page.ExplanationError as error:
            problem = {"type": "about:blank", "title": "No explanation", "status": error.status, "detail": str(error)}
            return web.json_response(problem, status=error.status, content_type="application/problem+json")
        return web.Response(body=body, content_type="application/json")

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


async def _forbid(_: web.Request, response: web.StreamResponse) -> None:
    """What a browser must not do goes with every answer."""
    response.headers.update(page.HEADERS)


def _parts(ref: ObjectRef) -> dict[str, str]:
    return {part: getattr(ref, part) for part in _PARTS}


def _offer(
    queue: asyncio.Queue[tuple[ObjectRef, ObjectStatus | None]], ref: ObjectRef, status: ObjectStatus | None
) -> None:
    """A listener that does not keep up misses events rather than holding up everybody."""
    with contextlib.suppress(asyncio.QueueFull):
        queue.put_nowait((ref, status))


def _event(ref: ObjectRef, status: ObjectStatus | None, proxies: tuple[int, int], locate: Locate) -> bytes:
    if status is None:
        return _line("gone", _parts(ref))
    return _line("object", present(status, proxies, locate))


def _line(event: str, value: Mapping[str, Any]) -> bytes:
    return f"event: {event}\ndata: {json.dumps(value)}\n\n".encode()


async def _made(make: Callable[[], bytes], content_type: str = "application/json") -> web.Response:
    """Made in a thread: ten thousand statuses, and the files of those with problems, take a while."""
    return web.Response(body=await asyncio.to_thread(make), content_type=content_type)


async def _rendered(target: str, resources: Mapping[str, Any]) -> web.Response:
    def make() -> bytes:
        found = present_envoy(resources) if target == "envoy" else present_snapshot(resources)
        return json.dumps({"resources": list(found)}).encode()

    return await _made(make)
