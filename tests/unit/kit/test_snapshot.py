"""The snapshot in a workload: streamed, acknowledged, kept, restored; the operator may come and go."""

import asyncio
import contextlib
import hashlib
import os
import random
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Self

import pytest
import structlog
from fastforward_kit.backoff import Backoff
from fastforward_kit.snapshot import SnapshotClient, SnapshotFile, SnapshotHolder
from fastforward_kit.snapshot.client import SnapshotMetrics, Target
from fastforward_kit.snapshot.keeper import keep_on_disk, restore

from fastforward.snapshot.v1 import snapshot_pb2
from support.eventually import eventually
from support.snapshot_server import SnapshotServer


@dataclass(frozen=True)
class Names:
    """A snapshot that knows names and versions, and refuses a resource called bad."""

    versions: MappingProxyType[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def apply(self, upserts: Sequence[snapshot_pb2.Resource], removed: Sequence[str]) -> Self:
        if any(resource.name == "bad" for resource in upserts):
            raise ValueError("bad is bad")
        following = {name: version for name, version in self.versions.items() if name not in removed}
        return type(self)(MappingProxyType(following | {one.name: one.version for one in upserts}))


def resource(name: str, version: str = "1") -> snapshot_pb2.Resource:
    tenant = snapshot_pb2.Tenant(name=name, plan=version)
    return snapshot_pb2.Resource(name=name, version=version, tenant=tenant)


@dataclass
class Node:
    """A workload that follows an operator."""

    client: SnapshotClient[Names]
    holder: SnapshotHolder[Names]
    usable: list[float]

    def versions(self) -> dict[str, str]:
        return dict(self.holder.current.versions)


@contextlib.asynccontextmanager
async def following(
    target: str,
    holder: SnapshotHolder[Names] | None = None,
    *,
    stale_start_seconds: float = 0.0,
    serving: asyncio.Event | None = None,
) -> AsyncGenerator[Node]:
    holder = holder or SnapshotHolder(Names())
    usable: list[float] = []
    client = SnapshotClient(
        holder,
        target=Target(target),
        node="node-1",
        usable=lambda: usable.append(time.monotonic()),
        serving=serving.wait if serving else _at_once,
        stale_start_seconds=stale_start_seconds,
    )
    running = asyncio.create_task(client.run())
    try:
        yield Node(client, holder, usable)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _at_once() -> None: ...


@pytest.fixture
def target(tmp_path: Path) -> str:
    return f"unix:{tmp_path}/operator.sock"


@contextlib.asynccontextmanager
async def operator(target: str, *names: str, chunk: int = 1000) -> AsyncGenerator[SnapshotServer]:
    async with SnapshotServer([resource(name) for name in names], chunk=chunk).serving(target) as server:
        yield server


async def test_a_node_is_usable_once_the_state_is_complete_and_not_before(target: str) -> None:
    server = SnapshotServer([resource("a"), resource("b")], chunk=1)
    server.completes = False
    async with server.serving(target), following(target) as node:
        await eventually(lambda: node.versions() == {"a": "1", "b": "1"})
        assert (node.usable, node.holder.complete) == ([], False)
        server.complete()
        await eventually(lambda: node.usable)
        assert node.holder.complete


async def test_the_state_is_acknowledged_only_when_it_is_served(target: str) -> None:
    serving = asyncio.Event()
    async with operator(target, "a") as server, following(target, serving=serving) as node:
        await eventually(lambda: node.usable)
        assert server.acknowledged == []
        serving.set()
        await eventually(lambda: server.acknowledged)


async def test_each_delta_is_acknowledged_after_it_is_in_force(target: str) -> None:
    async with operator(target, "a") as server, following(target) as node:
        await eventually(lambda: node.usable)
        for version in range(2, 30):
            nonce = server.publish([resource("a", str(version))])
            await eventually(lambda nonce=nonce: server.error_of(nonce) == "")
            assert node.versions()["a"] == str(version)
        assert node.client.acknowledged == 29


async def test_a_delta_that_cannot_be_applied_is_refused_and_changes_nothing(target: str) -> None:
    async with operator(target, "a") as server, following(target) as node:
        await eventually(lambda: node.usable)
        before, digest = node.holder.current, node.holder.digest
        nonce = server.publish([resource("a", "2"), resource("bad")])
        await eventually(lambda: server.error_of(nonce) == "ValueError: bad is bad")
        assert (node.holder.current, node.holder.digest) == (before, digest)
        nonce = server.publish([resource("a", "3")])
        await eventually(lambda: server.error_of(nonce) == "")
        assert (node.versions(), node.client.refused) == ({"a": "3"}, 1)


async def test_removed_resources_are_gone(target: str) -> None:
    async with operator(target, "a", "b") as server, following(target) as node:
        await eventually(lambda: node.usable)
        server.publish((), ["a", "never-there"])
        await eventually(lambda: node.versions() == {"b": "1"})
        assert node.holder.versions() == {"b": "1"}


async def test_a_reconnecting_node_says_what_it_holds_and_is_sent_the_difference(target: str) -> None:
    async with following(target) as node:
        async with operator(target, "a", "b", "c"):
            await eventually(lambda: node.usable)
        await eventually(lambda: not node.client.connected)
        assert node.versions() == {"a": "1", "b": "1", "c": "1"}, "the last good state stays"
        async with operator(target, "a", "b") as server:
            server.resources["b"] = resource("b", "2")
            await eventually(lambda: node.versions() == {"a": "1", "b": "2"})
            [stream] = server.streams
            assert (stream.node, stream.held) == ("node-1", {"a": "1", "b": "1", "c": "1"})
            assert [one.name for delta in stream.sent for one in delta.resources] == ["b"]


async def test_a_node_keeps_trying_an_operator_that_is_not_there_yet(target: str) -> None:
    async with following(target) as node:
        assert node.usable == []
        await asyncio.sleep(0)
        async with operator(target, "a"):
            await eventually(lambda: node.usable)


async def test_an_outage_of_the_operator_is_told_once(target: str) -> None:
    with structlog.testing.capture_logs() as logs:
        async with following(target) as node:
            async with operator(target, "a"):
                await eventually(lambda: node.usable)
            await eventually(lambda: [line for line in logs if line["log_level"] == "debug"])
    told = [line["event"] for line in logs if line["log_level"] == "warning"]
    assert told.count("operator away") <= 2, "at the start, if it was not there yet, and when it went"
    assert told[-1] == "operator away"


async def test_what_is_new_is_prepared_for_before_it_is_taken_up_or_refused(target: str) -> None:
    prepared: list[str] = []

    def prepare(resources: Sequence[snapshot_pb2.Resource]) -> None:
        prepared.extend(each.name for each in resources if each.name not in holder.current.versions)
        if "bad" in prepared:
            raise ModuleNotFoundError("no adapter of that name")

    holder = SnapshotHolder(Names(), prepare)
    async with operator(target, "a") as server, following(target, holder) as node:
        await eventually(lambda: node.usable)
        assert (prepared, node.versions()) == (["a"], {"a": "1"})
        nonce = server.publish([resource("bad")])
        await eventually(lambda: server.error_of(nonce))
        assert "no adapter" in str(server.error_of(nonce))
        assert node.versions() == {"a": "1"}
        assert set(holder.held) == {"a"}


async def test_what_was_kept_is_served_as_soon_as_the_operator_is_known_to_be_away(tmp_path: Path, target: str) -> None:
    file = SnapshotFile(tmp_path / "state")
    file.save([resource("a").SerializeToString()])
    holder = SnapshotHolder(Names())
    await restore(holder, file)
    async with following(target, holder, stale_start_seconds=60) as node:
        await eventually(lambda: node.usable)
        assert node.versions() == {"a": "1"}


async def test_what_was_kept_waits_for_an_operator_that_is_there(tmp_path: Path, target: str) -> None:
    file = SnapshotFile(tmp_path / "state")
    file.save([resource("a").SerializeToString(), resource("revoked").SerializeToString()])
    holder = SnapshotHolder(Names())
    await restore(holder, file)
    async with operator(target, "a") as server:
        server.completes = False
        async with following(target, holder, stale_start_seconds=60) as node:
            await eventually(lambda: server.acknowledged)
            assert node.usable == []
            server.complete()
            await eventually(lambda: node.usable)
            assert node.versions() == {"a": "1"}


async def test_an_operator_that_is_silent_delays_a_restart_only_so_long(tmp_path: Path, target: str) -> None:
    file = SnapshotFile(tmp_path / "state")
    file.save([resource("a").SerializeToString()])
    holder = SnapshotHolder(Names())
    await restore(holder, file)
    async with operator(target, "a") as server:
        server.completes = False
        async with following(target, holder, stale_start_seconds=0.1) as node:
            await eventually(lambda: node.usable)


async def test_a_part_of_the_state_is_neither_served_nor_kept(tmp_path: Path, target: str) -> None:
    file = SnapshotFile(tmp_path / "state")
    server = SnapshotServer([resource("a")])
    server.completes = False
    async with server.serving(target), following(target) as node:
        keeper = asyncio.create_task(keep_on_disk(node.holder, file))
        await eventually(lambda: node.versions() == {"a": "1"})
        await server.stop()
        await eventually(lambda: not node.client.connected)
        assert (node.usable, file.path.exists()) == ([], False)
        keeper.cancel()


async def test_changes_are_kept_on_disk_and_restored(tmp_path: Path, target: str) -> None:
    file = SnapshotFile(tmp_path / "state")
    async with operator(target, "a") as server, following(target) as node:
        keeper = asyncio.create_task(keep_on_disk(node.holder, file))
        await eventually(file.path.exists)
        server.publish([resource("b", "7")], ["a"])
        again = SnapshotHolder(Names())
        async with asyncio.timeout(10):
            while again.versions() != {"b": "7"}:
                again = SnapshotHolder(Names())
                await restore(again, file)
                await asyncio.sleep(0.01)
        assert again.digest == node.holder.digest
        keeper.cancel()


def test_the_file_is_for_its_owner_alone_and_leaves_nothing_beside(tmp_path: Path) -> None:
    file = SnapshotFile(tmp_path / "deep" / "state")
    file.save([resource("a").SerializeToString()])
    file.save([resource("b").SerializeToString(), resource("c" * 300).SerializeToString()])
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.path.parent.iterdir()] == ["snapshot.bin"]
    kept = file.load()
    assert kept is not None
    assert [one.name for one in kept.resources] == ["b", "c" * 300]


def test_a_damaged_file_is_as_good_as_none(tmp_path: Path) -> None:
    file = SnapshotFile(tmp_path)
    assert file.load() is None
    file.save([resource(f"name-{number}").SerializeToString() for number in range(50)])
    whole = file.path.read_bytes()
    draw = random.Random(7)
    for damaged in (
        b"",
        whole[:-1],
        whole[:20],
        whole + b"x",
        *(flip(whole, draw.randrange(len(whole))) for _ in range(50)),
    ):
        file.path.write_bytes(damaged)
        assert file.load() is None


def flip(content: bytes, at: int) -> bytes:
    return content[:at] + bytes((content[at] ^ 0x10,)) + content[at + 1 :]


def test_what_a_killed_writer_left_is_cleared_away(tmp_path: Path) -> None:
    old, fresh = tmp_path / "snapshot.77.tmp", tmp_path / "snapshot.78.tmp"
    old.write_bytes(b"half")
    fresh.write_bytes(b"being written")
    os.utime(old, (0, 0))
    SnapshotFile(tmp_path).clear_leftovers()
    assert list(tmp_path.iterdir()) == [fresh]


async def test_a_disk_that_refuses_is_tried_again(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.touch()  # a file where the folder should be
    holder = SnapshotHolder(Names())
    keeper = asyncio.create_task(keep_on_disk(holder, SnapshotFile(folder)))
    await asyncio.sleep(0)
    await holder.apply(snapshot_pb2.SnapshotDelta(resources=[resource("a")]))
    holder.complete = True
    with structlog.testing.capture_logs() as logs:
        await eventually(lambda: logs)
    assert logs[0]["event"] == "snapshot not kept"
    folder.unlink()
    await eventually((folder / "snapshot.bin").exists)
    keeper.cancel()


async def test_a_kept_snapshot_that_no_longer_applies_does_not_prevent_the_start(tmp_path: Path) -> None:
    file = SnapshotFile(tmp_path)
    file.save([resource("bad").SerializeToString()])
    holder = SnapshotHolder(Names())
    await restore(holder, file)
    assert (holder.complete, holder.held) == (False, {})


async def test_the_digest_is_of_what_is_held_not_of_how_it_came_about() -> None:
    straight, crooked = SnapshotHolder(Names()), SnapshotHolder(Names())
    await straight.apply(snapshot_pb2.SnapshotDelta(resources=[resource("a", "2"), resource("b")]))
    assert straight.digest != crooked.digest
    await crooked.apply(snapshot_pb2.SnapshotDelta(resources=[resource("b"), resource("a"), resource("c")]))
    await crooked.apply(snapshot_pb2.SnapshotDelta(resources=[resource("a", "2")], removed=["c"]))
    assert straight.digest == crooked.digest


async def test_requests_read_one_snapshot_while_the_next_is_built() -> None:
    turns = 0

    class Slow(Names):
        def apply(self, upserts: Sequence[snapshot_pb2.Resource], removed: Sequence[str]) -> Self:
            until = time.monotonic() + 0.2
            while time.monotonic() < until:
                hashlib.sha256(b"work").digest()
            return super().apply(upserts, removed)

    holder = SnapshotHolder(Slow())
    applying = asyncio.create_task(holder.apply(snapshot_pb2.SnapshotDelta(resources=[resource("a")])))
    before = holder.current
    while not applying.done():
        assert holder.current is before
        turns += 1
        await asyncio.sleep(0)
    assert turns > 10, "the event loop stood still"
    assert dict(holder.current.versions) == {"a": "1"}


async def test_metrics_tell_what_is_held_and_whether_the_operator_is_there(target: str) -> None:
    async with operator(target, "a", "b"), following(target) as node:
        await eventually(lambda: node.usable)
        metrics = SnapshotMetrics(node.holder, node.client)
        samples = {sample.name: sample for metric in metrics.collect() for sample in metric.samples}
    assert samples["fastforward_snapshot_resources"].value == 2
    assert samples["fastforward_operator_connected"].value == 1
    assert samples["fastforward_snapshot_info"].labels == {"digest": node.holder.digest}


def test_waits_grow_to_a_bound_and_never_vanish() -> None:
    longest, shortest = (
        Backoff(first=0.1, longest=2.0, jitter=lambda: 1.0),
        Backoff(first=0.1, longest=2.0, jitter=lambda: 0.0),
    )
    assert [longest.next_wait() for _ in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0]
    assert [shortest.next_wait() for _ in range(3)] == [0.05, 0.1, 0.2]
    longest.reset()
    assert longest.next_wait() == 0.1
    for _ in range(5000):
        assert longest.next_wait() <= 2.0
