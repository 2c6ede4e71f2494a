"""What goes on beyond one answer, over real sockets: streams, connections taken over, HTTP/2 passed on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from fastforward_kit.http import (
    Address,
    Handler,
    HttpServer,
    Occupant,
    Request,
    Response,
    Splice,
    StreamedResponse,
    Takeover,
)

from support.eventually import eventually

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
UPGRADE = b"GET /up HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: echo\r\n\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
PLAIN_HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


@contextlib.asynccontextmanager
async def serving(
    path: Path, handler: Handler, http2: Callable[[], Occupant] | None = None
) -> AsyncGenerator[HttpServer]:
    server = HttpServer(handler, http2=http2)
    await server.listen(Address(path=path))
    try:
        yield server
    finally:
        await server.drain(linger_seconds=0, limit_seconds=0.2)


@contextlib.asynccontextmanager
async def peer(path: Path) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        async with asyncio.timeout(10):
            yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def at(path: Path) -> Callable[[], Awaitable[Path]]:
    """A server behind that is there already."""

    async def find() -> Path:
        return path

    return find


class Parts:
    """Parts that a test hands out, one by one; remembers how far it was asked, and that it was closed."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.given = 0
        self.closed = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        part = await self.queue.get()
        if part is None:
            raise StopAsyncIteration
        self.given += 1
        return part

    async def aclose(self) -> None:
        self.closed = True


def streaming(parts: AsyncIterator[bytes], status: int = 200) -> Handler:
    def handle(asked: Request) -> Response:
        return StreamedResponse(status, parts=parts) if asked.target == "/" else Response(200)

    return handle


async def head_of(reader: asyncio.StreamReader) -> str:
    return (await reader.readuntil(b"\r\n\r\n")).decode()


async def test_each_part_is_sent_when_it_comes_and_the_connection_goes_on(tmp_path: Path) -> None:
    parts = Parts()
    async with serving(tmp_path / "s", streaming(parts)), peer(tmp_path / "s") as (reader, writer):
        writer.write(GET + GET.replace(b"/", b"/next", 1))
        head = await head_of(reader)
        assert "transfer-encoding: chunked" in head
        assert "content-length" not in head
        for part in (b"one", b"", b"x" * 17):
            parts.queue.put_nowait(part)
        assert await reader.readexactly(8 + 23) == b"3\r\none\r\n" + b"11\r\n" + b"x" * 17 + b"\r\n"
        parts.queue.put_nowait(None)
        assert await reader.readexactly(5 + len(PLAIN_HEAD)) == b"0\r\n\r\n" + PLAIN_HEAD
        assert parts.closed


async def test_a_client_that_does_not_read_is_sent_no_more_than_it_takes(tmp_path: Path) -> None:
    parts = Parts()
    for _ in range(500):
        parts.queue.put_nowait(b"x" * 10_000)
    parts.queue.put_nowait(None)
    async with serving(tmp_path / "s", streaming(parts)), peer(tmp_path / "s") as (reader, writer):
        writer.write(GET)
        await eventually(lambda: parts.given)
        await asyncio.sleep(0.1)
        assert parts.given < 150
        await head_of(reader)
        body = await reader.readexactly(500 * 10_008 + 5)
        assert body.endswith(b"0\r\n\r\n")


async def test_the_parts_are_closed_when_the_client_is_gone(tmp_path: Path) -> None:
    parts = Parts()
    async with serving(tmp_path / "s", streaming(parts)):
        async with peer(tmp_path / "s") as (reader, writer):
            writer.write(GET)
            await head_of(reader)
        await eventually(lambda: parts.closed)


@pytest.mark.parametrize("finite", [False, True])
@pytest.mark.parametrize("begun_before", [True, False])
async def test_draining_ends_a_stream_in_order(tmp_path: Path, *, begun_before: bool, finite: bool) -> None:
    parts = Parts()
    answer = StreamedResponse(200, parts=parts, finite=finite)
    promised: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
    async with serving(tmp_path / "s", lambda _: promised) as server, peer(tmp_path / "s") as (reader, writer):
        writer.write(GET)
        await eventually(lambda: any(not each.idle for each in server._connections))
        if begun_before:
            promised.set_result(answer)
            await head_of(reader)
        draining = asyncio.create_task(server.drain(linger_seconds=0, limit_seconds=5))
        await asyncio.sleep(0.1)
        if not begun_before:
            promised.set_result(answer)
            await head_of(reader)
        if finite:
            parts.queue.put_nowait(b"one")
            parts.queue.put_nowait(None)
        assert await reader.read() == (b"3\r\none\r\n" if finite else b"") + b"0\r\n\r\n"
        await draining
        assert parts.closed


async def test_what_has_an_end_and_is_cut_off_is_not_taken_for_whole(tmp_path: Path) -> None:
    parts = Parts()
    answer = StreamedResponse(200, parts=parts, finite=True)
    async with serving(tmp_path / "s", lambda _: answer) as server, peer(tmp_path / "s") as (reader, writer):
        writer.write(GET)
        await head_of(reader)
        await server.drain(linger_seconds=0, limit_seconds=0.1)
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        await eventually(lambda: parts.closed)


async def test_a_stream_that_fails_is_not_taken_for_whole(tmp_path: Path) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"one"
        raise RuntimeError("broken")

    async with serving(tmp_path / "s", streaming(failing())), peer(tmp_path / "s") as (reader, writer):
        writer.write(GET)
        await head_of(reader)
        rest = b""
        with contextlib.suppress(ConnectionResetError):
            rest = await reader.read()
        assert b"0\r\n\r\n" not in rest


@pytest.mark.parametrize(("method", "status"), [(b"HEAD", 200), (b"GET", 204), (b"GET", 304)])
async def test_an_answer_without_content_has_no_parts(tmp_path: Path, method: bytes, status: int) -> None:
    parts = Parts()
    parts.queue.put_nowait(b"one")
    async with serving(tmp_path / "s", streaming(parts, status)), peer(tmp_path / "s") as (reader, writer):
        writer.write(GET.replace(b"GET", method) + GET.replace(b"/", b"/next", 1))
        assert ("chunked" in await head_of(reader)) is (status == 200)
        assert await reader.readexactly(len(PLAIN_HEAD)) == PLAIN_HEAD
        await eventually(lambda: parts.closed)


class Echo(Occupant):
    """Says everything again, and goodbye."""

    def __init__(self) -> None:
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(b"<" + data + b">")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        self.lost = True

    def leave(self) -> None:
        self._transport.write(b"bye")
        self._transport.close()


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_connection_is_taken_over_with_what_came_early(tmp_path: Path, echo: Echo, *, at_once: bool) -> None:
    def handle(asked: Request) -> Response | asyncio.Future[Response]:
        answer = (
            Takeover(101, (("upgrade", "echo"),), protocol=lambda: echo) if asked.target == "/up" else Response(200)
        )
        if at_once:
            return answer
        future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.05, future.set_result, answer)
        return future

    async with serving(tmp_path / "s", handle) as server:
        async with peer(tmp_path / "s") as (reader, writer):
            writer.write(GET + UPGRADE + b"early")
            assert await reader.readexactly(len(PLAIN_HEAD)) == PLAIN_HEAD
            head = await head_of(reader)
            assert head.startswith("HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\nconnection: Upgrade\r\n")
            assert await reader.readexactly(7) == b"<early>"
            writer.write(b"GET")
            assert await reader.readexactly(5) == b"<GET>"
            assert len(server._connections) == 1
        await eventually(lambda: echo.lost and not server._connections)


async def test_draining_asks_whoever_has_taken_over_to_leave_and_waits(tmp_path: Path, echo: Echo) -> None:
    handle = lambda _: Takeover(101, (("upgrade", "echo"),), protocol=lambda: echo)  # noqa: E731
    async with serving(tmp_path / "s", handle) as server, peer(tmp_path / "s") as (reader, writer):
        writer.write(UPGRADE)
        await head_of(reader)
        await server.drain(linger_seconds=0, limit_seconds=5)
        assert await reader.read() == b"bye"
        assert echo.lost


async def test_behind_an_upgrade_that_is_refused_http_goes_on(tmp_path: Path) -> None:
    def handle(_: Request) -> asyncio.Future[Response]:
        future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.02, future.set_result, Response(200))
        return future

    async with serving(tmp_path / "s", handle), peer(tmp_path / "s") as (reader, writer):
        writer.write((UPGRADE + GET) * 3)
        assert await reader.readexactly(6 * len(PLAIN_HEAD)) == PLAIN_HEAD * 6
        writer.write(GET)
        assert await reader.readexactly(len(PLAIN_HEAD)) == PLAIN_HEAD


async def test_what_did_not_ask_for_an_upgrade_is_not_taken_over(tmp_path: Path, echo: Echo) -> None:
    async with (
        serving(tmp_path / "s", lambda _: Takeover(101, protocol=lambda: echo)),
        peer(tmp_path / "s") as (reader, writer),
    ):
        writer.write(GET)
        assert (await head_of(reader)).startswith("HTTP/1.1 400 ")


@contextlib.asynccontextmanager
async def behind(path: Path) -> AsyncGenerator[list[asyncio.StreamWriter]]:
    """A server that answers what it is sent, in upper case; closes at `!`."""
    writers: list[asyncio.StreamWriter] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        while data := await reader.read(65536):
            writer.write(data.upper())
            await writer.drain()
            if data.endswith(b"!"):
                break
        writer.close()

    server = await asyncio.start_unix_server(answer, path)
    try:
        yield writers
    finally:
        server.close()
        await server.wait_closed()


async def test_http2_is_passed_on_both_ways_and_its_end_too(tmp_path: Path) -> None:
    async with (
        behind(tmp_path / "b"),
        serving(tmp_path / "s", lambda _: Response(200), lambda: Splice(at(tmp_path / "b"))) as server,
        peer(tmp_path / "s") as (reader, writer),
    ):
        large = b"x" * 3_000_000
        writer.write(PREFACE + large)
        assert await reader.readexactly(len(PREFACE)) == PREFACE.upper()
        assert await reader.readexactly(len(large)) == large.upper()
        writer.write(b"!")
        assert await reader.read() == b"!"
        await eventually(lambda: not server._connections)


async def test_a_peer_in_http2_that_does_not_read_holds_up_the_server_behind(tmp_path: Path) -> None:
    sent = 0

    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        with contextlib.suppress(ConnectionError):
            for _number in range(300):
                writer.write(b"y" * 100_000)
                await writer.drain()
                sent += 1
        writer.close()

    flooding = await asyncio.start_unix_server(flood, tmp_path / "b")
    async with (
        serving(tmp_path / "s", lambda _: Response(200), lambda: Splice(at(tmp_path / "b"))),
        peer(tmp_path / "s") as (reader, writer),
    ):
        writer.write(PREFACE)
        await eventually(lambda: sent)
        await asyncio.sleep(0.2)
        assert sent < 100
        assert len(await reader.read(-1)) == 30_000_000
    flooding.close()
    await flooding.wait_closed()


async def test_without_a_server_behind_http2_is_cut_off(tmp_path: Path) -> None:
    async with (
        serving(tmp_path / "s", lambda _: Response(200), lambda: Splice(at(tmp_path / "none"))),
        peer(tmp_path / "s") as (reader, writer),
    ):
        writer.write(PREFACE)
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""


async def test_a_server_behind_is_waited_for_and_one_that_fails_to_start_is_none(tmp_path: Path) -> None:
    started = asyncio.Event()

    async def find() -> Path:
        await started.wait()
        return tmp_path / "b"

    async def fail() -> Path:
        raise ValueError("no such protocol")

    async with (
        behind(tmp_path / "b"),
        serving(tmp_path / "s", lambda _: Response(200), lambda: Splice(find)),
        serving(tmp_path / "f", lambda _: Response(200), lambda: Splice(fail)),
    ):
        async with peer(tmp_path / "s") as (reader, writer):
            writer.write(PREFACE)
            await asyncio.sleep(0.05)
            started.set()
            assert await reader.readexactly(len(PREFACE)) == PREFACE.upper()
        async with peer(tmp_path / "f") as (reader, writer):
            writer.write(PREFACE)
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""


async def test_without_http2_it_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path / "t", lambda _: Response(200)), peer(tmp_path / "t") as (reader, writer):
        writer.write(PREFACE)
        assert (await head_of(reader)).startswith("HTTP/1.1 400 ")


async def test_a_preface_behind_a_request_is_none(tmp_path: Path, echo: Echo) -> None:
    async with serving(tmp_path / "s", lambda _: Response(200), lambda: echo), peer(tmp_path / "s") as (reader, writer):
        writer.write(GET)
        await head_of(reader)
        writer.write(PREFACE)
        assert (await head_of(reader)).startswith("HTTP/1.1 400 ")


async def test_a_method_may_come_in_pieces(tmp_path: Path) -> None:
    async with serving(tmp_path / "s", lambda _: Response(200)), peer(tmp_path / "s") as (reader, writer):
        for piece in (GET[:2], GET[2:]):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.02)
        assert "200" in await head_of(reader)
