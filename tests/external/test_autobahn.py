"""WebSocket as the Autobahn test suite judges it: framing, pings, reserved bits, opcodes, fragments, UTF-8, closing,
large messages. Its own cases, run by kosoku, for the suite's own runner needs Python 2. Compression (12, 13) is not
offered.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from fastforward_kit.http import HttpServer, parse_address
from fastforward_kit.websocket import Bounds, WebSocket, accept
from kosoku import run_fuzzingclient

CASES = 301
PASSED = {("OK", "OK"), ("NON-STRICT", "OK"), ("INFORMATIONAL", "INFORMATIONAL")}
LARGE = Bounds(message_bytes=16 * 1024 * 1024, waiting_bytes=64 * 1024 * 1024)


async def echo(socket: WebSocket) -> None:
    while True:
        await socket.send(await socket.receive())


@pytest.fixture
async def url() -> AsyncGenerator[str]:
    server = HttpServer(lambda asked: accept(asked, (), echo, LARGE))
    address = await server.listen(parse_address("127.0.0.1:0"))
    yield f"ws://{address}"
    await server.drain(linger_seconds=0, limit_seconds=1)


async def test_every_case_passes(url: str) -> None:
    async with asyncio.timeout(120):
        results = await run_fuzzingclient(url, exclude_cases=["12.*", "13.*"], concurrency=2)
    assert len(results) == CASES
    failed = [each.case_id for each in results if (each.behavior.value, each.behavior_close.value) not in PASSED]
    assert failed == []
