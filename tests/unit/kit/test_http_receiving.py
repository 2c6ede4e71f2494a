"""How long a request may take to arrive."""

from __future__ import annotations

import asyncio

import pytest
from fastforward_kit.http import HttpServer, Response
from fastforward_kit.http.connection import Connection


class Told(asyncio.Transport):
    """Remembers what was done to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True


@pytest.mark.parametrize(
    ("size", "every_s", "times", "cut_off"),
    [
        pytest.param(100_000, 7, 40, False, id="large"),
        pytest.param(100_000, 12, 2, True, id="stands still"),
        pytest.param(1, 7, 3, True, id="trickles"),
    ],
)
async def test_a_body_may_take_as_long_as_it_needs_while_it_comes(
    monkeypatch: pytest.MonkeyPatch, *, size: int, every_s: int, times: int, cut_off: bool
) -> None:
    server, transport, now = HttpServer(lambda _: Response(200)), Told(), 1000.0
    # Nothing is awaited from here on.
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
    asked = Connection(server)
    asked.connection_made(transport)
    asked.data_received(b"POST / HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % (size * times))
    for _ in range(times):
        now += every_s
        server._sweep_slow()
        if not transport.aborted:
            asked.data_received(b"x" * size)
    monkeypatch.undo()
    server.close_listener()
    assert transport.aborted is cut_off
    assert (b" 200 OK" in transport.written) is not cut_off
