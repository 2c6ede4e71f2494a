"""What the companion says when a container ends: it waits for draining, and for nobody who does not answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from fastforward_kit.companion.console import SECONDS, Console
from fastforward_kit.companion.drain import Drain
from fastforward_kit.companion.endpoint import CompanionEndpoint
from fastforward_kit.http import Request, Response

ANSWER = b"HTTP/1.1 200 OK\r\n\r\nhttp.ingress.downstream_rq_active: 0\n"


@asynccontextmanager
async def console(folder: Path, *, frozen: bool = False) -> AsyncGenerator[Console]:
    """Of an Envoy with no request under way, which may be frozen: connections are taken, and nobody answers."""
    ends = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if frozen:
            await ends.wait()
        else:
            writer.write(ANSWER)
        writer.close()

    server = await asyncio.start_unix_server(serve, folder / "admin.sock")
    async with server:
        yield Console(folder / "admin.sock")
        ends.set()


async def ask(endpoint: CompanionEndpoint, path: str) -> Response:
    answer = endpoint(Request("GET", path, {}))
    return answer if isinstance(answer, Response) else await answer


async def test_the_end_of_a_container_waits_until_envoy_has_drained(tmp_path: Path) -> None:
    async with console(tmp_path) as admin:
        drain = Drain(admin, most_seconds=5.0, least_seconds=0.5)
        asked = asyncio.create_task(ask(CompanionEndpoint(admin, drain), "/envoy/drained"))
        await asyncio.sleep(0.2)
        assert not asked.done()
        await drain.run()
        assert (await asked).status == 200


async def test_nobody_waits_for_an_envoy_that_is_frozen(tmp_path: Path) -> None:
    async with console(tmp_path, frozen=True) as admin:
        endpoint = CompanionEndpoint(admin, Drain(admin, most_seconds=30.0))
        began = time.monotonic()
        assert (await ask(endpoint, "/envoy/drained")).status == 200
        assert time.monotonic() - began < SECONDS + 1.0
        assert (await ask(endpoint, "/envoy/live")).status == 503


async def test_nobody_waits_for_an_envoy_that_is_gone(tmp_path: Path) -> None:
    admin = Console(tmp_path / "admin.sock")
    assert (await ask(CompanionEndpoint(admin, Drain(admin, most_seconds=30.0)), "/envoy/drained")).status == 200
