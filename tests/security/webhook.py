"""The webhook alone, with a real compiler behind it, and whoever comes to it over TLS.

Out: `serving`, a running webhook with authorities of its own; `Caller`, who says bytes. Called by test_webhook.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fastforward_crds as crds
from fastforward_compiler import Compiler, Judgement
from fastforward_compiler.problem import ObjectRef
from fastforward_operator.admission.callers import Callers
from fastforward_operator.admission.judge import Judge
from fastforward_operator.admission.server import PATH, WebhookServer
from fastforward_operator.admission.tls import RotatingContext, Shown
from fastforward_operator.certificates import Certified, Subject, issue, new_authority
from fastforward_operator.kubernetes.access import Access
from fastforward_operator.kubernetes.client import Client
from fastforward_operator.telemetry import Metrics

HOST = "fastforward-webhook.fastforward-system.svc"
DAY = timedelta(days=1)
READ_S = 5.0


def authority(name: str = "test") -> Certified:
    return new_authority(name, now=datetime.now(UTC), lifetime=100 * DAY)


def client_certificate(
    by: Certified, name: str = "kube-apiserver", *, days: int = 1, server: bool = False
) -> Certified:
    """What a caller shows; with days below 0 it has ended."""
    subject = Subject(name=name, hosts=(name,), client=not server, server=server)
    now = datetime.now(UTC)
    return issue(by, subject, now=now + min(days, 0) * DAY - DAY, lifetime=2 * DAY if days > 0 else DAY / 2)


@dataclass(slots=True)
class Webhook:
    """A running one. What it shows and whom it believes can be changed while it runs."""

    folder: Path
    own: Certified = field(default_factory=lambda: authority("own"))
    cluster: Certified = field(default_factory=lambda: authority("cluster"))
    server: WebhookServer = field(init=False)
    shown: Shown = field(init=False)
    asked: list[ObjectRef] = field(default_factory=list)
    compiler: Compiler = field(default_factory=Compiler)

    def __post_init__(self) -> None:
        self.show(self.cluster.certificate)
        (self.folder / "ca.crt").write_text(self.cluster.certificate)
        access = Access(server="https://nowhere.invalid", tls=ssl.create_default_context())
        self.server = WebhookServer(
            host="127.0.0.1",
            port=0,
            context=RotatingContext(lambda: self.shown),
            callers=Callers(Client(access), file=self.folder / "ca.crt"),
            judge=Judge(ask=self.ask, again_s=0.0),
            metrics=Metrics(),
        )

    def show(self, callers: str) -> None:
        """A new certificate of its own, and whose certificates it takes."""
        signed = issue(self.own, Subject(name="w", hosts=(HOST,), server=True), now=datetime.now(UTC), lifetime=DAY)
        self.shown = Shown(signed.certificate.encode(), signed.key.encode(), callers)

    async def ask(self, ref: ObjectRef, value: crds.Resource | crds.Invalid) -> Judgement:
        self.asked.append(ref)
        return self.compiler.judge(ref, value)

    def caller(self, shows: Certified | None) -> Caller:
        return Caller(self.server.port, self.own, shows, self.folder)

    @property
    def api_server(self) -> Caller:
        return self.caller(client_certificate(self.cluster))


@asynccontextmanager
async def serving(folder: Path) -> AsyncGenerator[Webhook]:
    found = Webhook(folder)
    await found.server.start()
    try:
        yield found
    finally:
        await found.server.stop()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who shows a certificate, or none, and says bytes."""

    port: int
    believes: Certified
    shows: Certified | None
    folder: Path

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self.believes.certificate)
        if self.shows is not None:
            file = self.folder / "caller.pem"
            file.write_text(self.shows.certificate + self.shows.key)
            context.load_cert_chain(file)
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=context, server_hostname=HOST)

    async def say(self, sent: bytes) -> tuple[int, bytes]:
        """The answer's status and body; status 0 when there is none."""
        try:
            reader, writer = await self.connect()
        except (OSError, ssl.SSLError):
            return 0, b""
        try:
            async with asyncio.timeout(READ_S):
                writer.write(sent)
                with suppress(OSError):
                    await writer.drain()
                return await _read(reader)
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            return 0, b""
        finally:
            writer.transport.abort()
            await asyncio.sleep(0)

    async def post(self, body: bytes, path: str = PATH, kind: str = "application/json") -> tuple[int, bytes]:
        head = f"POST {path} HTTP/1.1\r\nhost: {HOST}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
        return await self.say(head.encode() + body)

    async def allowed(self, document: Any) -> bool | None:  # noqa: ANN401 - JSON
        """The verdict on an object; None when there is none."""
        status, body = await self.post(review(document))
        return json.loads(body)["response"]["allowed"] if status == 200 else None


async def _read(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.partition("content-length: ")[2].partition("\r\n")[0] or 0)
    return int(head.split(" ", 2)[1]), await reader.readexactly(length)


def review(document: Any, **request: Any) -> bytes:  # noqa: ANN401 - JSON
    """An AdmissionReview about a new object."""
    metadata = document.get("metadata", {})
    told = {
        "uid": "u-1",
        "operation": "CREATE",
        "kind": {"group": crds.GROUP, "version": crds.VERSION, "kind": document.get("kind")},
        "name": metadata.get("name"),
        "namespace": metadata.get("namespace", "default"),
        "object": document,
        **request,
    }
    return json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": told}).encode()
