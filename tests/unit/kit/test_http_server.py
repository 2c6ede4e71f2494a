"""The HTTP server over real sockets: what it answers, refuses, and never loses."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest
from fastforward_kit.http import Address, Handler, HttpServer, Request, Response, connection, parse_address
from fastforward_kit.http import server as server_module

from support.eventually import eventually

Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]
GET = b"GET /a?b=c HTTP/1.1\r\nhost: shop.example\r\n\r\n"


def echo(request: Request) -> Response:
    lines = [f"{request.method} {request.target}", *(f"{name}={request.header(name)}" for name in request.headers)]
    return Response(200, (("x-seen", "yes"),), "\n".join(lines).encode())


async def connect(path: Path) -> Peer:
    return await asyncio.open_unix_connection(path)


@contextlib.asynccontextmanager
async def serving(path: Path, handler: Handler = echo) -> AsyncGenerator[HttpServer]:
    server = HttpServer(handler)
    await server.listen(Address(path=path))
    try:
        yield server
    finally:
        await server.drain(linger_seconds=0, limit_seconds=0.1)


async def read_answer(reader: asyncio.StreamReader, *, with_body: bool = True) -> tuple[int, dict[str, str], bytes]:
    async with asyncio.timeout(5):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        status_line, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        body = await reader.readexactly(int(headers.get("content-length", "0"))) if with_body else b""
    return int(status_line.split(" ")[1]), headers, body


async def read_to_end(reader: asyncio.StreamReader) -> bytes:
    with contextlib.suppress(ConnectionResetError):
        return await reader.read()
    return b""


async def ask(path: Path, request: bytes = GET, *, with_body: bool = True) -> tuple[int, dict[str, str], bytes]:
    reader, writer = await connect(path)
    writer.write(request)
    try:
        return await read_answer(reader, with_body=with_body)
    finally:
        writer.close()
        await writer.wait_closed()


async def test_a_body_reaches_the_handler_whole_and_ends_with_its_request(tmp_path: Path) -> None:
    def size(request: Request) -> Response:
        return Response(200, (), f"{len(request.body)} {request.body[:2].decode()}".encode())

    async with serving(tmp_path / "s", size):
        reader, writer = await connect(tmp_path / "s")
        writer.write(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n")
        writer.write(b"4\r\n you\r\n0\r\n\r\n" + GET)
        assert (await read_answer(reader))[2] == b"6 hi"
        assert (await read_answer(reader))[2] == b"0 "
        writer.close()
        await writer.wait_closed()


async def test_a_body_that_is_too_large_is_refused_before_its_end(tmp_path: Path) -> None:
    async with serving(tmp_path / "s"):
        large = connection.MAX_BODY_BYTES + 1
        head = f"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {2 * large}\r\n\r\n".encode()
        status, headers, _ = await ask(tmp_path / "s", head + b"x" * large)
        assert (status, headers["connection"]) == (413, "close")


async def test_a_request_reaches_the_handler_as_it_was_sent(tmp_path: Path) -> None:
    async with serving(tmp_path / "s"):
        status, headers, body = await ask(
            tmp_path / "s",
            b"POST /a%2Fb?q=1&q=2 HTTP/1.1\r\nHost: Shop\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 2\r\n\r\nhi",
        )
    assert (status, headers["x-seen"]) == (200, "yes")
    assert body.decode().split("\n") == ["POST /a%2Fb?q=1&q=2", "host=Shop", "x-a=1,2", "content-length=2"]


@pytest.mark.parametrize("method", ["GET", "QUERY", "PURGE", "get", "X-OWN", "POST"])
async def test_any_token_may_be_a_method(tmp_path: Path, method: str) -> None:
    async with serving(tmp_path / "s"):
        reader, writer = await connect(tmp_path / "s")
        for _ in range(2):
            writer.write(GET.replace(b"GET", method.encode(), 1))
            assert (await read_answer(reader))[2].startswith(method.encode() + b" /a?b=c\n")
        writer.write(GET)
        assert (await read_answer(reader))[2].startswith(b"GET /a?b=c\n")
        writer.close()


async def test_a_connection_serves_many_requests_also_when_they_come_in_pieces_or_at_once(tmp_path: Path) -> None:
    async with serving(tmp_path / "s"):
        reader, writer = await connect(tmp_path / "s")
        for piece in (GET[:5], GET[5:20], GET[20:] + GET + GET[:3], GET[3:]):
            writer.write(piece)
            await writer.drain()
        answers = [await read_answer(reader) for _ in range(3)]
        writer.close()
    assert [(status, body.split(b"\n")[0]) for status, _, body in answers] == [(200, b"GET /a?b=c")] * 3


async def test_a_head_request_gets_the_length_but_not_the_body(tmp_path: Path) -> None:
    async with serving(tmp_path / "s", lambda _: Response(403, (), b"no")):
        reader, writer = await connect(tmp_path / "s")
        writer.write(GET.replace(b"GET", b"HEAD") + GET)
        first = await read_answer(reader, with_body=False)
        second = await read_answer(reader)
        writer.close()
    assert (first[0], first[1]["content-length"]) == (403, "2")
    assert (second[0], second[2]) == (403, b"no")


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_that_never_has_a_body_has_none(tmp_path: Path, status: int) -> None:
    """What follows its head is the next answer: a body there would be taken for one."""
    forged = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"
    answers = iter([Response(status, (), forged), Response(200, (), b"mine")])
    async with serving(tmp_path / "s", lambda _: next(answers)):
        reader, writer = await connect(tmp_path / "s")
        writer.write(GET + GET)
        first = await read_answer(reader, with_body=False)
        second = await read_answer(reader)
        writer.close()
    assert (first[0], first[1].get("content-length", "0")) == (status, "0")
    assert second[2] == b"mine"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /ws HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n",
        b"PROPFIND /x HTTP/1.1\r\nhost: a\r\n\r\n",
        b"X-own~1 /x HTTP/1.1\r\nhost: a\r\n\r\n",
    ],
    ids=["upgrade", "connect", "asterisk", "webdav", "unknown method"],
)
async def test_unusual_requests_are_questions_like_any_other(tmp_path: Path, request_bytes: bytes) -> None:
    async with serving(tmp_path / "s"):
        reader, writer = await connect(tmp_path / "s")
        writer.write(request_bytes + GET)
        statuses = [(await read_answer(reader))[0] for _ in range(2)]
        writer.close()
    assert statuses == [200, 200]


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"G(E)T / HTTP/1.1\r\n\r\n", 400),
        (b" GET / HTTP/1.1\r\n\r\n", 400),
        (b"NONSENSE\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost : a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nx: a\nb\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nx: " + b"a" * 140_000 + b"\r\n\r\n", 431),
    ],
    ids=[
        "method",
        "space before method",
        "no target",
        "space before colon",
        "bare line feed",
        "two lengths",
        "huge header",
    ],
)
async def test_what_is_no_request_is_refused_never_failed(tmp_path: Path, request_bytes: bytes, status: int) -> None:
    async with serving(tmp_path / "s"):
        answer = await ask(tmp_path / "s", request_bytes)
    assert (answer[0], answer[1]["connection"]) == (status, "close")


async def test_no_byte_of_a_header_is_lost() -> None:
    seen: list[Request] = []

    def remember(request: Request) -> Response:
        seen.append(request)
        return Response(200)

    server = HttpServer(remember)
    address = await server.listen(parse_address("127.0.0.1:0"))
    reader, writer = await asyncio.open_connection(address.host, address.port)
    value = bytes(byte for byte in range(0x21, 0x100) if byte != 0x7F)
    writer.write(b"GET / HTTP/1.1\r\nx-a: " + value + b"\r\n\r\n")
    assert (await read_answer(reader))[0] == 200
    assert seen[0].header("x-a").encode("latin-1") == value
    assert seen[0].header("x-b") == ""
    writer.close()
    await server.drain(linger_seconds=0, limit_seconds=0.1)


@pytest.mark.parametrize("value", ["a\r\nx-admin: yes", "a\nb", "a\rb", "a\0b"])
async def test_an_answer_never_carries_a_header_that_a_value_forged(tmp_path: Path, value: str) -> None:
    async with serving(tmp_path / "s", lambda _: Response(200, (("x-tenant", value),))):
        status, headers, _ = await ask(tmp_path / "s")
    assert (status, sorted(headers)) == (400, ["content-length"])


async def test_a_handler_that_raises_costs_its_own_request_only(tmp_path: Path) -> None:
    def handler(request: Request) -> Response:
        if request.target == "/bad":
            raise RuntimeError("broken")
        return Response(200)

    async with serving(tmp_path / "s", handler):
        reader, writer = await connect(tmp_path / "s")
        writer.write(GET.replace(b"/a?b=c", b"/bad") + GET)
        statuses = [(await read_answer(reader))[0] for _ in range(2)]
        writer.close()
    assert statuses == [500, 200]


class Later:
    """Answers when told to."""

    def __init__(self) -> None:
        self.futures: list[asyncio.Future[Response]] = []

    def __call__(self, _: Request) -> asyncio.Future[Response]:
        self.futures.append(asyncio.get_running_loop().create_future())
        return self.futures[-1]


async def test_answers_keep_the_order_of_requests_also_when_they_wait(tmp_path: Path) -> None:
    later = Later()
    async with serving(tmp_path / "s", later):
        reader, writer = await connect(tmp_path / "s")
        writer.write(GET * 40)
        for number in range(40):
            await eventually(lambda number=number: len(later.futures) == number + 1)
            later.futures[number].set_result(Response(200, (), str(number).encode()))
        assert [(await read_answer(reader))[2] for _ in range(40)] == [str(number).encode() for number in range(40)]
        writer.close()


async def test_a_peer_that_leaves_while_its_answer_is_awaited_disturbs_nobody(tmp_path: Path) -> None:
    later = Later()
    async with serving(tmp_path / "s", later):
        _, writer = await connect(tmp_path / "s")
        writer.write(GET)
        await eventually(lambda: later.futures)
        writer.close()
        await writer.wait_closed()
        later.futures[0].set_result(Response(200))
        other = asyncio.create_task(ask(tmp_path / "s"))
        await eventually(lambda: len(later.futures) == 2)
        later.futures[1].set_result(Response(204))
        assert (await other)[0] == 204


@pytest.mark.parametrize(
    "fail", [lambda f: f.cancel(), lambda f: f.set_exception(RuntimeError("x"))], ids=["cancel", "raise"]
)
async def test_a_failed_wait_is_answered_all_the_same(
    tmp_path: Path, fail: Callable[[asyncio.Future[Response]], None]
) -> None:
    later = Later()
    async with serving(tmp_path / "s", later):
        asking = asyncio.create_task(ask(tmp_path / "s"))
        await eventually(lambda: later.futures)
        fail(later.futures[0])
        assert (await asking)[0] == 500


async def test_draining_answers_what_is_in_flight_and_asks_every_peer_to_leave(tmp_path: Path) -> None:
    later = Later()
    server = HttpServer(later)
    await server.listen(Address(path=tmp_path / "s"))
    reader, writer = await connect(tmp_path / "s")
    idle_reader, idle_writer = await connect(tmp_path / "s")
    writer.write(GET)
    await eventually(lambda: later.futures)
    drained = asyncio.create_task(server.drain(linger_seconds=0.05, limit_seconds=5))
    async with asyncio.timeout(5):
        assert await idle_reader.read() == b""  # idle: closed
    assert not drained.done()
    later.futures[0].set_result(Response(200, (), b"done"))
    status, headers, body = await read_answer(reader)
    assert (status, headers["connection"], body) == (200, "close", b"done")
    async with asyncio.timeout(5):
        await drained
        assert await reader.read() == b""
    assert not (tmp_path / "s").exists()
    writer.close()
    idle_writer.close()


async def test_while_it_lingers_a_draining_server_still_serves_newcomers(tmp_path: Path) -> None:
    server = HttpServer(echo)
    await server.listen(Address(path=tmp_path / "s"))
    _, kept = await connect(tmp_path / "s")
    await eventually(lambda: server._connections)
    drained = asyncio.create_task(server.drain(linger_seconds=0.3, limit_seconds=5))
    await eventually(lambda: server.draining)
    status, headers, _ = await ask(tmp_path / "s")
    assert (status, headers["connection"]) == (200, "close")
    await drained
    kept.close()


async def test_draining_ends_at_its_limit_even_when_an_answer_never_comes(tmp_path: Path) -> None:
    later = Later()
    server = HttpServer(later)
    await server.listen(Address(path=tmp_path / "s"))
    reader, writer = await connect(tmp_path / "s")
    writer.write(GET)
    await eventually(lambda: later.futures)
    async with asyncio.timeout(5):
        await server.drain(linger_seconds=0, limit_seconds=0.05)
        assert await reader.read() == b""
    writer.close()


async def test_a_successor_takes_the_socket_over_and_keeps_it_when_the_predecessor_ends(tmp_path: Path) -> None:
    path = tmp_path / "s"
    first = HttpServer(lambda _: Response(200, (), b"first"))
    await first.listen(Address(path=path))
    reader, writer = await connect(path)
    async with serving(path, lambda _: Response(200, (), b"second")):
        assert (await ask(path))[2] == b"second"
        writer.write(GET)
        assert (await read_answer(reader))[2] == b"first"
        await first.drain(linger_seconds=1, limit_seconds=1)
        assert (await ask(path))[2] == b"second"
        writer.close()
    assert not path.exists()


async def test_the_file_of_a_killed_process_is_no_hindrance(tmp_path: Path) -> None:
    path = tmp_path / "s"
    left = await asyncio.start_unix_server(lambda _reader, _writer: None, path)
    left.close()
    path.touch()
    with pytest.raises(OSError, match=r"refused|socket"):
        await connect(path)
    async with serving(path):
        assert (await ask(path))[0] == 200


async def test_a_request_that_never_ends_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "RECEIVE_SECONDS", 0.05)
    async with serving(tmp_path / "s"):
        reader, writer = await connect(tmp_path / "s")
        writer.write(GET[:10])
        async with asyncio.timeout(5):
            assert await read_to_end(reader) == b""
        writer.close()


async def test_a_tcp_address_may_leave_the_port_to_the_system() -> None:
    server = HttpServer(echo)
    address = await server.listen(parse_address("127.0.0.1:0"))
    assert address.port > 0
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(GET)
    assert (await read_answer(reader))[0] == 200
    writer.close()
    await server.drain(linger_seconds=0, limit_seconds=0.1)


def test_addresses_are_read_as_users_write_them() -> None:
    assert parse_address("unix:/run/x.sock") == Address(path=Path("/run/x.sock"))
    assert parse_address("127.0.0.1:80") == Address(host="127.0.0.1", port=80)
    assert parse_address("[::1]:80") == Address(host="::1", port=80)
    assert str(parse_address("unix:/run/x.sock")) == "unix:/run/x.sock"


@pytest.mark.parametrize(
    "text", ["", "host", "host:", ":80", "host:99999", "unix:", "unix:relative", "unix:/" + "a" * 107]
)
def test_an_address_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"unix:PATH or HOST:PORT|an absolute path"):
        parse_address(text)
