"""The feed follows what the operator says, through its restarts."""

import asyncio
import json
from typing import Any

from aiohttp import web
from fastforward_operator.supervisor.feed import StatusFeed

from support.eventually import eventually
from support.operator_api import described
from support.processes import free_ports


class FakeOperator:
    """Objects that a test changes, and the stream that tells it."""

    def __init__(self, port: int) -> None:
        self.objects: list[dict[str, Any]] = []
        self.ready = True
        self.listeners: list[asyncio.Queue[str]] = []
        self._port = port
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        application = web.Application()
        application.router.add_get("/readyz", self._readyz)
        application.router.add_get("/v1/objects", self._objects)
        application.router.add_get("/v1/proxies", self._proxies)
        application.router.add_get("/v1/events", self._events)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()

    async def stop(self) -> None:
        assert self._runner is not None
        self.listeners.clear()
        await self._runner.cleanup()

    def tell(self, event: str, value: dict[str, Any]) -> None:
        for listener in self.listeners:
            listener.put_nowait(f"event: {event}\ndata: {json.dumps(value)}\n\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        return web.Response(status=200 if self.ready else 503)

    async def _objects(self, _: web.Request) -> web.Response:
        return web.json_response({"objects": self.objects})

    async def _proxies(self, _: web.Request) -> web.Response:
        return web.json_response({"proxies": [{"node": "envoy", "state": "live"}]})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        queue: asyncio.Queue[str] = asyncio.Queue()
        self.listeners.append(queue)
        while True:
            await response.write((await queue.get()).encode())


async def test_rows_follow_changes_removals_and_restarts() -> None:
    (port,) = free_ports(1)
    operator, feed = FakeOperator(port), StatusFeed(f"http://127.0.0.1:{port}")
    operator.objects = [described("Route", "a"), described("Route", "b")]
    await operator.start()
    following = asyncio.create_task(feed.follow())
    await eventually(lambda: [row.name for row in feed.rows] == ["Route shop/a", "Route shop/b"])
    await eventually(lambda: list(feed.proxies) == ["envoy live"])
    await eventually(lambda: len(operator.listeners) == 1)
    operator.tell("object", described("Route", "a", refused="No upstream."))
    operator.tell("gone", {"kind": "Route", "namespace": "shop", "name": "b"})
    await eventually(lambda: [row.message for row in feed.rows] == ["a.yaml:9: No upstream."])
    await operator.stop()
    assert [row.name for row in feed.rows] == ["Route shop/a"], "what was known stays"
    operator.objects = [described("Route", "c")]
    await operator.start()
    await eventually(lambda: [row.name for row in feed.rows] == ["Route shop/c"])
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await operator.stop()


async def test_settled_is_when_the_operator_is_ready_and_nothing_waits_for_a_proxy() -> None:
    (port,) = free_ports(1)
    operator, feed = FakeOperator(port), StatusFeed(f"http://127.0.0.1:{port}")
    waiting = described("Route", "a")
    waiting["conditions"][2] |= {"status": "False", "reason": "NoProxies"}
    operator.objects, operator.ready = [waiting], False
    settling = asyncio.create_task(feed.until_settled())
    await operator.start()
    operator.ready = True
    await eventually(lambda: feed.rows)
    assert not settling.done()
    operator.objects = [described("Route", "a")]
    await settling
    await operator.stop()
