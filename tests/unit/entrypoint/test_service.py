"""EntryPoint as a process: real sockets, a real operator stream, signals, kill -9."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fastforward_entrypoint.answer import JUDGED

from support.decision_world import Key, apikeys, asking, limit, make_key, plan, world
from support.entrypoint import Connection, EntryPoint, running_entrypoint
from support.eventually import eventually
from support.processes import free_ports
from support.redis import running_redis
from support.snapshot_server import SnapshotServer

KEY = make_key("acme")
START_SECONDS = 60.0  # for processes to start, on a machine that is busy
TOO_MANY = (
    "Settings: 4 workers would each count on their own, and exact limits would let through 4 times too much. "
    "Set FF_ENTRYPOINT_REDIS_URL, or FF_ENTRYPOINT_WORKERS=1."
)


@pytest.fixture
def target(tmp_path: Path) -> str:
    return f"unix:{tmp_path}/operator.sock"


@asynccontextmanager
async def operator(target: str, *keys: Key, burst: int = 1_000_000) -> AsyncGenerator[SnapshotServer]:
    server = SnapshotServer(world(*(keys or (KEY,)), limits=[limit("shop/by-tenant", burst=burst)]))
    async with server.serving(target):
        yield server


@asynccontextmanager
async def deciding(
    folder: Path, target: str, *keys: Key, **settings: str
) -> AsyncGenerator[tuple[EntryPoint, SnapshotServer]]:
    async with operator(target, *keys) as server:
        with running_entrypoint(folder, target, **settings) as service:
            await service.ready()
            yield service, server


async def ask_once(service: EntryPoint, key: Key | None = KEY, **headers: str) -> int:
    connection = Connection(service.socket)
    try:
        return (await connection.ask("/books", headers=asking(key, **headers))).status
    finally:
        connection.close()


def takes_connections(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


class Load:
    """Connections that ask without pause until stopped; collects what went wrong."""

    def __init__(self, service: EntryPoint, connections: int = 8) -> None:
        self.answered = 0
        self.wrong: list[str] = []
        self._stopping = False
        self._service = service
        self._tasks = [asyncio.create_task(self._ask_on()) for _ in range(connections)]

    async def _ask_on(self) -> None:
        connection = Connection(self._service.socket)
        while not self._stopping:
            try:
                answer = await connection.ask("/books", headers=asking(KEY))
            except (OSError, EOFError) as error:
                self.wrong.append(repr(error))
                continue
            self.answered += 1
            if answer.status != 200:
                self.wrong.append(f"{answer.status} {answer.body!r}")
        connection.close()

    async def more(self, count: int = 200) -> None:
        """Returns when so many more have been answered."""
        wanted = self.answered + count
        await eventually(lambda: self.answered >= wanted)

    async def stop(self) -> None:
        self._stopping = True
        await asyncio.gather(*self._tasks)


async def test_it_decides_on_a_unix_socket_and_tells_of_itself_on_a_port(tmp_path: Path, target: str) -> None:
    async with deciding(tmp_path, target) as (service, _):
        assert await ask_once(service) == 200
        assert await ask_once(service, None) == 401
        assert (await service.health("/healthz"))[0] == 200
        _, metrics = await service.health("/metrics")
    assert 'fastforward_decisions_total{reason="",stage="",verdict="allowed"} 1.0' in metrics
    assert "fastforward_operator_connected 1.0" in metrics
    assert "fastforward_snapshot_resources 7.0" in metrics


async def test_nobody_may_ask_before_the_first_complete_snapshot(tmp_path: Path, target: str) -> None:
    server = SnapshotServer(world(KEY))
    server.completes = False
    [stages] = free_ports(1)
    async with server.serving(target):
        with running_entrypoint(tmp_path, target, STAGES_LISTEN=f"127.0.0.1:{stages}") as service:
            await eventually(lambda: server.acknowledged, seconds=START_SECONDS)
            status, why = await service.health("/readyz")
            assert (status, "snapshot" in why) == (503, True)
            assert (await service.health("/healthz"))[0] == 200
            assert not service.socket.exists()
            assert not takes_connections(stages)
            server.complete()
            await service.ready()
            await eventually(lambda: takes_connections(stages))
            assert await ask_once(service) == 200


async def test_while_it_waits_for_a_snapshot_it_can_be_stopped(tmp_path: Path, target: str) -> None:
    with running_entrypoint(tmp_path, target) as service:
        await service.alive()
        service.signal(signal.SIGTERM)
        assert await service.ended() == 0


async def test_a_plan_is_known_and_a_key_revoked_once_that_is_acknowledged(tmp_path: Path, target: str) -> None:
    other = make_key("acme")
    async with deciding(tmp_path, target, KEY, other) as (service, server):
        assert await ask_once(service, x_ff_plan="plan-new") == JUDGED
        nonce = server.publish([plan("plan-new", path="/new")])
        await eventually(lambda: server.error_of(nonce) == "")
        assert await ask_once(service, x_ff_plan="plan-new") == 200
        nonce = server.publish([apikeys(other)])
        await eventually(lambda: server.error_of(nonce) == "")
        assert [await ask_once(service, key) for key in (KEY, other)] == [401, 200]


async def test_a_delta_that_it_can_not_use_is_refused_in_words_and_changes_nothing(tmp_path: Path, target: str) -> None:
    async with deciding(tmp_path, target) as (service, server):
        broken = plan("plan-broken")
        broken.plan.ClearField("upstreams")
        nonce = server.publish([broken, apikeys()])
        await eventually(lambda: server.error_of(nonce))
        assert "plan-broken" in str(server.error_of(nonce))
        assert await ask_once(service) == 200


async def test_changes_under_load_lose_no_request(tmp_path: Path, target: str) -> None:
    async with deciding(tmp_path, target) as (service, server):
        load = Load(service)
        await load.more()
        for number in range(100):
            new = make_key(f"tenant-{number}")
            nonce = server.publish([plan(f"plan-{number}", path=f"/p{number}"), apikeys(KEY, new)])
            await eventually(lambda nonce=nonce: server.error_of(nonce) == "")
            assert await ask_once(service, new, x_ff_plan=f"plan-{number}") == 200
        await load.stop()
    assert load.wrong == []


async def test_killed_and_started_again_it_serves_without_the_operator(tmp_path: Path, target: str) -> None:
    async with operator(target) as server:
        with running_entrypoint(tmp_path, target) as service:
            await service.ready()
            state = tmp_path / "state" / "snapshot.bin"
            await eventually(state.exists)
            assert state.stat().st_mode & 0o777 == 0o600
            service.signal(signal.SIGKILL)
            await service.ended()
            await server.stop()
            service.start()
            await service.ready()
            assert [await ask_once(service), await ask_once(service, None)] == [200, 401]
            _, metrics = await service.health("/metrics")
            assert "fastforward_operator_connected 0.0" in metrics
            await server.start(target)
            await eventually(lambda: server.streams)
            assert all(not delta.resources for delta in server.streams[0].sent), "it is sent nothing that it holds"


async def test_it_goes_on_deciding_while_the_operator_is_away(tmp_path: Path, target: str) -> None:
    async with deciding(tmp_path, target) as (service, server):
        await server.stop()
        load = Load(service)
        await load.more(500)
        nonce = ""
        await server.start(target)
        await eventually(lambda: server.streams)
        nonce = server.publish([plan("plan-new", path="/new")])
        await eventually(lambda: server.error_of(nonce) == "")
        await load.stop()
        assert load.wrong == []
        assert await ask_once(service, x_ff_plan="plan-new") == 200


async def test_a_successor_takes_over_under_load_without_a_lost_request(tmp_path: Path, target: str) -> None:
    async with deciding(tmp_path, target) as (first, _):
        load = Load(first)
        await load.more()
        second = EntryPoint(tmp_path, target, {"NODE": "entrypoint-2"}, first.socket)
        second.start()
        await second.ready()
        await load.more()
        first.signal(signal.SIGTERM)
        assert await first.ended() == 0
        await load.more()
        await load.stop()
        second.stop()
    assert load.wrong == []


async def test_after_sigterm_it_answers_what_was_asked_and_ends_at_once(tmp_path: Path, target: str) -> None:
    async with deciding(tmp_path, target) as (service, _):
        connections = [Connection(service.socket) for _ in range(20)]
        for connection in connections:
            assert (await connection.ask("/books", headers=asking(KEY))).status == 200
        service.signal(signal.SIGTERM)
        answers = await asyncio.gather(*(connection.ask("/books", headers=asking(KEY)) for connection in connections))
        assert [answer.status for answer in answers] == [200] * 20
        assert await service.ended() == 0
        assert not service.socket.exists()
        for connection in connections:
            connection.close()


@pytest.mark.parametrize("fail_open", [True, False])
async def test_a_dead_redis_leaves_it_to_the_limits_fail_mode(tmp_path: Path, target: str, *, fail_open: bool) -> None:
    server = SnapshotServer(world(KEY, limits=[limit("shop/by-tenant", burst=5, fail_open=fail_open)]))
    async with server.serving(target):
        with running_redis(tmp_path) as redis, running_entrypoint(tmp_path, target, REDIS_URL=redis.url) as service:
            await service.ready()
            redis.kill()
            assert [await ask_once(service) for _ in range(8)] == [200 if fail_open else JUDGED] * 8
            _, metrics = await service.health("/metrics")
            assert "fastforward_counter_store_up 0.0" in metrics
            assert 'fastforward_counter_store_errors_total{kind="lost"} 1.0' in metrics


async def test_workers_share_one_socket_and_one_budget(tmp_path: Path, target: str) -> None:
    server = SnapshotServer(world(KEY, limits=[limit("shop/by-tenant", burst=40)]))
    stages = f"127.0.0.1:{free_ports(1)[0]}"
    settings = {"WORKERS": "2", "REDIS_DEADLINE_SECONDS": "5", "STAGES_LISTEN": stages}
    async with server.serving(target):
        with (
            running_redis(tmp_path) as redis,
            running_entrypoint(tmp_path, target, REDIS_URL=redis.url, **settings) as service,
        ):
            # Counted by node: one that loses its stream on a busy machine comes back and acknowledges again.
            both = ["entrypoint-1/1", "entrypoint-1/2"]
            await eventually(
                lambda: sorted(stream.node for stream in server.streams if stream.acknowledged) == both,
                seconds=START_SECONDS,
                claim="both workers have acknowledged",
            )
            statuses = await asyncio.gather(*(ask_once(service) for _ in range(100)))
            assert (statuses.count(200), statuses.count(429)) == (40, 60)
            service.signal(signal.SIGTERM)
            assert await service.ended() == 0
            await eventually(lambda: not server.streams, claim="no stream outlives its worker")
    assert "worker died" not in (tmp_path / "entrypoint.log").read_text()


async def test_a_worker_that_dies_is_replaced_and_none_outlives_its_parent(tmp_path: Path, target: str) -> None:
    server = SnapshotServer(world(KEY))
    async with server.serving(target):
        with (
            running_redis(tmp_path) as redis,
            running_entrypoint(tmp_path, target, REDIS_URL=redis.url, WORKERS="2") as service,
        ):
            await eventually(lambda: len(server.streams) == 2, seconds=START_SECONDS)
            before = set(children(service))
            victim = min(before)
            os.kill(victim, signal.SIGKILL)
            await eventually(
                lambda: len(set(children(service)) - {victim}) == 2 and len(server.streams) == 2, seconds=START_SECONDS
            )
            workers = children(service)
            service.signal(signal.SIGKILL)
            await eventually(
                lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers), claim="no orphan is left"
            )


def children(service: EntryPoint) -> list[int]:
    assert service.process is not None
    pid = service.process.pid
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


def test_a_start_that_fails_says_why_in_a_sentence(tmp_path: Path, target: str, taken: int) -> None:
    service = EntryPoint(tmp_path, target, {"WORKERS": "4"}, tmp_path / "d.sock")
    status, said = run(service)
    assert (status, said.splitlines()) == (2, [TOO_MANY])
    service = EntryPoint(tmp_path, target, {}, tmp_path / "d.sock", health_port=taken)
    status, said = run(service)
    assert (status, said.count("\n"), "in use" in said) == (1, 1, True)


def run(service: EntryPoint) -> tuple[int, str]:
    command = [sys.executable, "-m", "fastforward_entrypoint"]
    done = subprocess.run(command, env=service.environment(), capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stderr
