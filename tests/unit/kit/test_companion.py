"""How an Envoy drains: it is let go when nothing comes any more, and nobody waits for one that does not answer."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fastforward_kit.companion.console import SECONDS, Console
from fastforward_kit.companion.drain import QUIET_SECONDS, Drain
from fastforward_kit.companion.endpoint import CompanionEndpoint
from fastforward_kit.http import Request, Response

Counts = Callable[[], tuple[int, int]]
PASSING = (
    "tcp.stream.downstream_cx_rx_bytes_total",
    "tcp.stream.downstream_cx_tx_bytes_total",
    "udp.datagrams-53.downstream_sess_rx_bytes",
    "udp.datagrams-53.downstream_sess_tx_bytes",
)
"""As Envoy calls what passes by its proxies of connections and of datagrams."""


def idle() -> tuple[int, int]:
    return 0, 7


@asynccontextmanager
async def console(
    folder: Path, *, frozen: bool = False, counts: Counts = idle, passed: Callable[[], dict[str, int]] = dict
) -> AsyncGenerator[Console]:
    """Of an Envoy with so many requests under way and in all; frozen, it takes connections and nobody answers."""
    ends = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        if frozen:
            await ends.wait()
        else:
            active, total = counts()
            stats = {"http.shop.downstream_rq_active": active, "http.shop.downstream_rq_total": total, **passed()}
            of_console = {"http.admin.downstream_rq_active": 1, "http.admin.downstream_rq_total": 99}
            wanted = asked.split()[1].decode().partition("filter=")[2]
            found = [f"{name}: {count}\n" for name, count in (stats | of_console).items() if re.search(wanted, name)]
            writer.write(f"HTTP/1.1 200 OK\r\n\r\n{''.join(found)}".encode())
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
        assert await admin.traffic() == (0, 7)


async def test_an_envoy_with_a_client_that_sends_now_and_then_is_not_let_go(tmp_path: Path) -> None:
    """It is idle whenever it is looked at, but requests have come in between, for two seconds."""
    began = time.monotonic()
    async with console(tmp_path, counts=lambda: (0, int(min(2.0, time.monotonic() - began) * 20))) as admin:
        await Drain(admin, most_seconds=20.0, least_seconds=0.5).run()
    assert 2.0 + QUIET_SECONDS - 0.5 <= time.monotonic() - began < 10.0


@pytest.mark.parametrize("name", PASSING)
async def test_an_envoy_that_passes_bytes_on_is_not_let_go(tmp_path: Path, name: str) -> None:
    """Connections passed through have no requests."""
    began = time.monotonic()

    def passed() -> dict[str, int]:
        return {name: int((time.monotonic() - began) * 1000), "tcp.stream.downstream_cx_rx_bytes_buffered": 9}

    async with console(tmp_path, passed=passed) as admin:
        await Drain(admin, most_seconds=2.0, least_seconds=0.1).run()
    assert time.monotonic() - began >= 2.0


async def test_a_request_that_does_not_end_is_waited_for_so_long_and_no_longer(tmp_path: Path) -> None:
    began = time.monotonic()
    async with console(tmp_path, counts=lambda: (1, 1)) as admin:
        await Drain(admin, most_seconds=1.5, least_seconds=0.5).run()
    assert 1.5 <= time.monotonic() - began < 10.0
