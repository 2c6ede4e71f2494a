"""Receivers of webhooks for tests: a real HTTP server that can go away and come back, and a verifier that is not ours.

In: what to answer. Out: what was posted; EventHooks of the decision snapshot. Called by tests of webhooks.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from fastforward_pipeline.compiled.eventhook import EventHook, compile_eventhook
from standardwebhooks.webhooks import Webhook

from fastforward.snapshot.v1 import snapshot_pb2 as pb

from .credentials import webhook_key
from .processes import free_port

NAME = "shop/warehouse"
PLACED = "shop.orders.placed"
KEY = webhook_key("current")


@dataclass(frozen=True)
class Posted:
    """One webhook as it arrived."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        return json.loads(self.body)

    def verify(self, key: str = KEY) -> None:
        """Raises WebhookVerificationError unless one of the signatures is the key's, and new."""
        Webhook(key).verify(self.body, dict(self.headers))


Answer = Callable[[Posted], web.Response]


def agree(_: Posted) -> web.Response:
    """Answers that all is well."""
    return web.Response(status=204)


def statuses(*told: int, **headers: str) -> Answer:
    """Answers in turn with these, then well."""
    left = list(told)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: web.Response(status=left.pop(0), headers=given) if left else web.Response(status=200)


@dataclass
class Receiver:
    """It can be stopped, and started again at its port."""

    answer: Answer = agree
    tls: ssl.SSLContext | None = None
    port: int = field(default_factory=free_port)
    received: list[Posted] = field(default_factory=list)
    _runner: web.AppRunner | None = None

    async def _take(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        posted = Posted(request.raw_path, headers, await request.read())
        self.received.append(posted)
        return self.answer(posted)

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/{path:.*}", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self.tls).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def ids(self) -> list[str]:
        return [posted.headers["webhook-id"] for posted in self.received]


@asynccontextmanager
async def receiving(answer: Answer = agree, **fields: Any) -> AsyncGenerator[Receiver]:  # noqa: ANN401
    """One on the loopback."""
    receiver = Receiver(answer, **fields)
    await receiver.start()
    try:
        yield receiver
    finally:
        await receiver.stop()


def wire_hook(*ports: int, keys: Sequence[str] = (KEY,), **fields: Any) -> pb.EventHook:  # noqa: ANN401
    """An EventHook that is told of PLACED, at these ports of the loopback."""
    defaults: dict[str, Any] = {
        "events": [PLACED],
        "endpoints": [pb.Endpoint(address="127.0.0.1", port=port) for port in ports],
        "path": "/hooks?of=orders",
        "secrets": [secret_of(key) for key in keys],
        "timeout_ms": 2000,
        "tries": 5,
        "first_wait_ms": 10,
        "longest_wait_ms": 100,
        "dead_letters": 3,
    }
    return pb.EventHook(**{**defaults, **fields})


def hook_to(*ports: int, name: str = NAME, **fields: Any) -> EventHook:  # noqa: ANN401
    """The same, compiled."""
    return compile_eventhook(name, wire_hook(*ports, **fields))


def secret_of(key: str) -> bytes:
    """The bytes of a key."""
    return Webhook(key)._whsecret
