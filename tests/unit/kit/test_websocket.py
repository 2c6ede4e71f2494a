"""WebSocket connections over real sockets: how they begin, who waits for whom, and how they end."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket as sockets
from collections.abc import AsyncGenerator, Awaitable, Callable

import pytest
import websockets
from fastforward_kit.http import Address, HttpServer, parse_address
from fastforward_kit.websocket import Bounds, ClosedError, WebSocket, accept
from websockets.typing import Subprotocol

from support.eventually import eventually

Serve = Callable[[WebSocket], Awaitable[None]]
KEY = base64.b64encode(b"k" * 16).decode()


async def echo(socket: WebSocket) -> None:
    while True:
        await socket.send(await socket.receive())


@contextlib.asynccontextmanager
async def serving(
    serve: Serve = echo, *, subprotocols: tuple[str, ...] = (), bounds: Bounds | None = None
) -> AsyncGenerator[tuple[HttpServer, Address]]:
    server = HttpServer(lambda asked: accept(asked, subprotocols, serve, bounds))
    address = await server.listen(parse_address("127.0.0.1:0"))
    try:
        async with asyncio.timeout(20):
            yield server, address
    finally:
        await server.drain(linger_seconds=0, limit_seconds=1)


async def ended(client: websockets.ClientConnection) -> tuple[int | None, str | None]:
    await client.wait_closed()
    return client.close_code, client.close_reason


async def test_messages_come_back_as_they_were_sent() -> None:
    async with serving(subprotocols=("v2", "v1")) as (_, address):
        async with websockets.connect(f"ws://{address}/x", subprotocols=[Subprotocol("v1")]) as client:
            assert client.subprotocol == "v1"
            for sent in ("grüß", b"\0\xff", "", "x" * 300_000):
                await client.send(sent)
                assert await client.recv() == sent
            await client.send(["in ", "parts"])
            assert await client.recv() == "in parts"
        assert client.close_code == 1000


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"sec-websocket-key": ""}, 400),
        ({"sec-websocket-key": "short"}, 400),
        ({"sec-websocket-version": "8"}, 400),
        ({"upgrade": "h2c"}, 426),
        ({"connection": "close"}, 426),
        ({"sec-websocket-protocol": "v9"}, 400),
        ({"sec-websocket-protocol": ""}, 400),
    ],
)
async def test_a_handshake_that_is_none_is_refused(change: dict[str, str], status: int) -> None:
    headers = {
        "host": "a",
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-key": KEY,
        "sec-websocket-version": "13",
        "sec-websocket-protocol": "v1",
    }
    async with serving(subprotocols=("v1",)) as (_, address):
        reader, writer = await asyncio.open_connection(address.host, address.port)
        lines = [f"{name}: {value}" for name, value in {**headers, **change}.items() if value]
        writer.write("\r\n".join(("GET / HTTP/1.1", *lines, "", "")).encode())
        assert (await reader.readline()).split()[1] == str(status).encode()
        writer.close()


async def test_a_message_that_is_too_large_is_1009() -> None:
    async with (
        serving(bounds=Bounds(message_bytes=1000)) as (_, address),
        websockets.connect(f"ws://{address}/") as client,
    ):
        await client.send(["x" * 600, "x" * 600])
        assert (await ended(client))[0] == 1009


async def test_who_has_returned_closes_and_who_has_failed_says_so() -> None:
    async def serve(socket: WebSocket) -> None:
        if await socket.receive() == "fail":
            raise RuntimeError("broken")

    async with serving(serve) as (_, address):
        for said, code in (("go", 1000), ("fail", 1011)):
            client = await websockets.connect(f"ws://{address}/")
            await client.send(said)
            assert (await ended(client))[0] == code


async def test_the_end_is_told_to_whoever_serves() -> None:
    told: list[ClosedError] = []

    async def serve(socket: WebSocket) -> None:
        try:
            await socket.receive()
        except ClosedError as error:
            told.append(error)
            with pytest.raises(ClosedError):
                await socket.send("late")
            raise

    async with serving(serve) as (server, address):
        client = await websockets.connect(f"ws://{address}/")
        await client.close(4000, "enough")
        client = await websockets.connect(f"ws://{address}/")
        client.transport.abort()
        await eventually(lambda: len(told) == 2 and not server._connections)
    assert [(error.code, error.reason) for error in told] == [(4000, "enough"), (1006, "")]


async def test_draining_takes_nothing_more_sends_what_is_under_way_and_ends_with_1001() -> None:
    async def serve(socket: WebSocket) -> None:
        with contextlib.suppress(ClosedError):
            await socket.receive()
        await socket.send("last")

    async with serving(serve) as (server, address):
        client = await websockets.connect(f"ws://{address}/")
        await server.drain(linger_seconds=0, limit_seconds=5)
        assert await client.recv() == "last"
        assert (await ended(client))[0] == 1001


async def deaf(address: Address) -> sockets.socket:
    """A client that has shaken hands, and reads nothing any more."""
    client = sockets.create_connection((address.host, address.port))
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    head = f"GET / HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: {KEY}\r\n"
    await loop.sock_sendall(client, f"{head}sec-websocket-version: 13\r\n\r\n".encode())
    assert b"101" in await loop.sock_recv(client, 1000)
    return client


@pytest.mark.parametrize("waits", [True, False])
async def test_a_client_that_does_not_keep_up_is_closed_with_1008(*, waits: bool) -> None:
    told: list[ClosedError] = []

    async def serve(socket: WebSocket) -> None:
        try:
            for _ in range(1000):
                if waits:
                    await socket.send(b"x" * 100_000)
                else:
                    socket.post(b"x" * 100_000)
        except ClosedError as error:
            told.append(error)

    bounds = Bounds(slow_seconds=0.2) if waits else Bounds(waiting_bytes=1_000_000)
    async with serving(serve, bounds=bounds) as (_, address):
        client = await deaf(address)
        await eventually(lambda: told)
        assert told[0].code == 1008
        client.close()


async def test_a_client_that_reads_is_not_too_slow_however_many_send_to_it() -> None:
    async def serve(socket: WebSocket) -> None:
        await asyncio.gather(*(socket.send(b"x" * 300_000) for _ in range(64)), socket.send(b"y" * 3_000_000))
        await socket.receive()

    async with (
        serving(serve, bounds=Bounds(waiting_bytes=1_000_000)) as (_, address),
        websockets.connect(f"ws://{address}/", max_size=None) as client,
    ):
        sizes = [len(await client.recv()) for _ in range(65)]
        assert sizes == [*[300_000] * 64, 3_000_000]


class Taking(asyncio.Transport):
    """To a client of which less waits each time one looks, until nothing more is taken."""

    def __init__(self, *waiting: int) -> None:
        super().__init__()
        self.waiting = list(waiting)
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def can_write_eof(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return self.waiting.pop(0) if len(self.waiting) > 1 else self.waiting[0]

    def is_closing(self) -> bool:
        return self.closed

    def is_reading(self) -> bool:
        return False

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True


async def test_a_client_is_too_slow_once_it_takes_nothing_more() -> None:
    told: list[ClosedError] = []

    async def serve(socket: WebSocket) -> None:
        try:
            await socket.receive()
        except ClosedError as error:
            told.append(error)

    transport = Taking(1000, 900, 800, 700)
    socket = WebSocket(serve, Bounds(slow_seconds=0.01))
    socket.connection_made(transport)
    socket.pause_writing()
    await eventually(lambda: told)
    assert told[0].code == 1008
    assert transport.waiting == [700]
    socket.connection_lost(None)


async def test_nothing_more_is_read_than_is_taken() -> None:
    go = asyncio.Event()
    taken = 0

    async def serve(socket: WebSocket) -> None:
        nonlocal taken
        await go.wait()
        while True:
            await socket.receive()
            taken += 1

    async with (
        serving(serve, bounds=Bounds(messages=4)) as (_, address),
        websockets.connect(f"ws://{address}/") as client,
    ):
        more = [asyncio.ensure_future(client.send("x" * 500_000)) for _ in range(30)]
        await asyncio.sleep(0.2)
        assert not all(each.done() for each in more)
        go.set()
        await asyncio.gather(*more)
        await eventually(lambda: taken == 30)


async def test_a_client_that_is_silent_is_asked_and_then_given_up() -> None:
    async with (
        serving(bounds=Bounds(ping_seconds=0.05, pong_seconds=0.2)) as (server, address),
        websockets.connect(f"ws://{address}/", ping_interval=None) as lively,
    ):
        client = await deaf(address)
        await eventually(lambda: len(server._connections) == 2)
        await eventually(lambda: len(server._connections) == 1)
        await lively.send("here")
        assert await lively.recv() == "here"
        client.close()
