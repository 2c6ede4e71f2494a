"""Envoy and EntryPoint: the filter that the compiler emits asks, the service answers; its end loses no request."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncGenerator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.decision_world import KEYS, apikeys, limit, make_key, world
from support.entrypoint import EntryPoint, running_entrypoint
from support.eventually import eventually
from support.hop import Hop, running_hop
from support.snapshot_server import SnapshotServer

KEY = make_key("acme")
HOST = "host: shop.example\r\n"
CREDENTIALS = f"x-api-key: {KEY.text}\r\n"
WEBSOCKET = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: eA==\r\nsec-websocket-version: 13\r\n"
BODY = "content-length: 3\r\n\r\nabc"
CHUNKS = "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"


MANY = "".join(f"x-{number}: a\r\n" for number in range(80))


@dataclass
class Fleet:
    """An operator, decision services, and an Envoy that asks them."""

    operator: SnapshotServer
    services: list[EntryPoint]
    hop: Hop


@asynccontextmanager
async def fleet(folder: Path, *, services: int = 1, fail_open: bool = False) -> AsyncGenerator[Fleet]:
    target = f"unix:{folder}/operator.sock"
    server = SnapshotServer(world(KEY, limits=[limit("shop/by-tenant", burst=1_000_000)]))
    async with server.serving(target):
        with ExitStack() as running:
            started = []
            for number in range(services):
                own = folder / str(number)
                own.mkdir()
                started.append(running.enter_context(running_entrypoint(own, target, NODE=f"entrypoint-{number}")))
            for service in started:
                await service.ready()
            async with running_hop(*(service.socket for service in started), fail_open=fail_open) as hop:
                yield Fleet(server, started, hop)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: str


async def send(port: int, text: str) -> Answer:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(text.encode("latin-1"))
    try:
        async with asyncio.timeout(10):
            status_line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
            if status_line.endswith("100 Continue"):
                status_line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
            headers = dict(line.split(": ", 1) for line in lines)
            length = 0 if text.startswith("HEAD") else int(headers.get("content-length", "0"))
            body = (await reader.readexactly(length)).decode()
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return Answer(int(status_line.split(" ")[1]), headers, body)


class Load:
    """Clients that send through Envoy without pause until stopped, each request on a connection of its own."""

    def __init__(self, port: int, clients: int = 4) -> None:
        self.answered = 0
        self.wrong: list[str] = []
        self._port = port
        self._stopping = False
        self._tasks = [asyncio.create_task(self._send_on()) for _ in range(clients)]

    async def _send_on(self) -> None:
        while not self._stopping:
            answer = await send(self._port, f"GET /books HTTP/1.1\r\n{HOST}{CREDENTIALS}\r\n")
            self.answered += 1
            if answer.status != 200:
                self.wrong.append(f"{answer.status} {answer.body}")

    async def more(self, count: int = 150) -> None:
        wanted = self.answered + count
        await eventually(lambda: self.answered >= wanted, seconds=60)

    async def stop(self) -> None:
        self._stopping = True
        await asyncio.gather(*self._tasks)


REQUESTS = {
    "get": f"GET /books?a=b HTTP/1.1\r\n{HOST}{{}}\r\n",
    "head": f"HEAD /books HTTP/1.1\r\n{HOST}{{}}\r\n",
    "options": f"OPTIONS /books HTTP/1.1\r\n{HOST}{{}}\r\n",
    "webdav": f"PROPFIND /books HTTP/1.1\r\n{HOST}{{}}\r\n",
    "body": f"POST /books HTTP/1.1\r\n{HOST}{{}}{BODY}",
    "chunks": f"POST /books HTTP/1.1\r\n{HOST}{{}}{CHUNKS}",
    "expect": f"POST /books HTTP/1.1\r\n{HOST}{{}}expect: 100-continue\r\n{BODY}",
    "websocket": f"GET /books HTTP/1.1\r\n{HOST}{{}}{WEBSOCKET}\r\n",
    "trailers": f"GET /books HTTP/1.1\r\n{HOST}{{}}te: trailers\r\nconnection: te\r\n\r\n",
    "close": f"GET /books HTTP/1.1\r\n{HOST}{{}}connection: close\r\n\r\n",
    "many headers": f"GET /books HTTP/1.1\r\n{HOST}{{}}{MANY}\r\n",
    "large header": f"GET /books HTTP/1.1\r\n{HOST}{{}}x-large: {'a' * 50_000}\r\n\r\n",
    "latin": f"GET /books HTTP/1.1\r\n{HOST}{{}}x-latin: \xe9\xff\r\n\r\n",
    "forged": f"GET /books HTTP/1.1\r\n{HOST}{{}}x-ff-plan: other\r\nx-ff-address: 1.2.3.4\r\n\r\n",
}


async def test_every_shape_of_request_is_asked_about_and_answered(tmp_path: Path) -> None:
    async with fleet(tmp_path) as running:
        port = running.hop.port
        allowed = {name: await send(port, text.replace("{}", CREDENTIALS)) for name, text in REQUESTS.items()}
        refused = {name: await send(port, text.replace("{}", "")) for name, text in REQUESTS.items()}
    assert {name: answer.status for name, answer in allowed.items()} == dict.fromkeys(REQUESTS, 200)
    assert {name: answer.status for name, answer in refused.items()} == dict.fromkeys(REQUESTS, 401)
    remaining = [int(answer.headers["x-ratelimit-remaining"]) for answer in allowed.values()]
    assert remaining == list(range(999_999, 999_999 - len(REQUESTS), -1)), "each is counted once"
    assert {answer.headers["x-ff-reason"] for answer in refused.values()} == {"authentication/key-missing"}
    assert '"reason":"key-missing"' in refused["get"].body


async def test_one_of_two_killed_and_one_restarted_lose_no_request(tmp_path: Path) -> None:
    async with fleet(tmp_path, services=2) as running:
        first, second = running.services
        load = Load(running.hop.port)
        await load.more()
        first.signal(signal.SIGKILL)
        await first.ended()
        await load.more()
        first.start()
        await first.ready()
        await load.more()
        second.signal(signal.SIGTERM)
        assert await second.ended() == 0
        await load.more()
        await load.stop()
    assert load.wrong == []


async def test_the_only_one_is_replaced_without_a_lost_request(tmp_path: Path) -> None:
    async with fleet(tmp_path) as running:
        [first] = running.services
        load = Load(running.hop.port)
        await load.more()
        successor = EntryPoint(first.folder, first.operator, {"NODE": "successor"}, first.socket)
        successor.start()
        try:
            await successor.ready()
            first.signal(signal.SIGTERM)
            assert await first.ended() == 0
            await load.more()
            await load.stop()
        finally:
            successor.stop()
    assert load.wrong == []


@pytest.mark.parametrize(("fail_open", "status"), [(False, 503), (True, 200)])
async def test_with_no_service_left_the_routes_fail_mode_holds(tmp_path: Path, *, fail_open: bool, status: int) -> None:
    async with fleet(tmp_path, fail_open=fail_open) as running:
        assert (await send(running.hop.port, f"GET /books HTTP/1.1\r\n{HOST}\r\n")).status == 401
        running.services[0].signal(signal.SIGKILL)
        await running.services[0].ended()
        assert (await send(running.hop.port, f"GET /books HTTP/1.1\r\n{HOST}\r\n")).status == status


async def test_before_its_first_snapshot_a_service_is_as_good_as_none(tmp_path: Path) -> None:
    target = f"unix:{tmp_path}/operator.sock"
    with running_entrypoint(tmp_path, target) as service:
        async with running_hop(service.socket) as hop:
            await service.alive()
            assert (await send(hop.port, f"GET /books HTTP/1.1\r\n{HOST}\r\n")).status == 503
            async with SnapshotServer(world(KEY)).serving(target):
                await service.ready()
                assert (await send(hop.port, f"GET /books HTTP/1.1\r\n{HOST}{CREDENTIALS}\r\n")).status == 200


async def test_a_revoked_key_is_refused_as_soon_as_its_revocation_is_acknowledged(tmp_path: Path) -> None:
    async with fleet(tmp_path, services=2) as running:
        request = f"GET /books HTTP/1.1\r\n{HOST}{CREDENTIALS}\r\n"
        assert (await send(running.hop.port, request)).status == 200
        nonce = running.operator.publish([apikeys()])
        await eventually(lambda: [r.nonce for r in running.operator.acknowledged].count(nonce) == 2, claim=KEYS)
        assert {(await send(running.hop.port, request)).status for _ in range(20)} == {401}
