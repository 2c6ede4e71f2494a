"""How an Envoy drains: it is let go when nothing comes any more, and nobody waits for one that does not answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fastforward_kit.companion.console import SECONDS, Console
from fastforward_kit.companion.drain import QUIET_SECONDS, Drain
from fastforward_kit.companion.endpoint import CompanionEndpoint
from fastforward_kit.http import Request, Response

Counts = Callable[[], tuple[int, int]]


def idle() -> tuple[int, int]:
    return 0, 7


@asynccontextmanager
async def console(folder: Path, *, frozen: bool = False, counts: Counts = idle) -> AsyncGenerator[Console]:
    """Of an Envoy with so many requests under way and in all; frozen, it takes connections and nobody answers."""
    ends = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if frozen:
            await ends.wait()
        else:
            active, total = counts()
            mine = f"http.shop.downstream_rq_active: {active}\nhttp.shop.downstream_rq_total: {total}\n"
            of_console = "http.admin.downstream_rq_active: 1\nhttp.admin.downstream_rq_total: 99\n"
            writer.write(f"HTTP/1.1 200 OK\r\n\r\n{mine}{of_console}".encode())
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


async def test_the_console_itself_is_no_client(tmp_path: Path) -> None:
    async with console(tmp_path) as admin:
        assert await admin.requests() == (0, 7)


async def test_an_envoy_with_a_client_that_sends_now_and_then_is_not_let_go(tmp_path: Path) -> None:
    """It is idle whenever it is looked at, but requests have come in between, for two seconds."""
    began = time.monotonic()
    async with console(tmp_path, counts=lambda: (0, int(min(2.0, time.monotonic() - began) * 20))) as admin:
        await Drain(admin, most_seconds=20.0, least_seconds=0.5).run()
    assert 2.0 + QUIET_SECONDS - 0.5 <= time.monotonic() - began < 10.0


async def test_a_request_that_does_not_end_is_waited_for_so_long_and_no_longer(tmp_path: Path) -> None:
    began = time.monotonic()
    async with console(tmp_path, counts=lambda: (1, 1)) as admin:
        await Drain(admin, most_seconds=1.5, least_seconds=0.5).run()
    assert 1.5 <= time.monotonic() - began < 10.0
