"""Adapters and EntryPoint apart: the same over real gRPC as at hand, nothing sent twice, and only by workloads."""

from __future__ import annotations

import asyncio
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fastforward_entrypoint.messages import apart
from fastforward_entrypoint.messages.apart import ExchangeServer, RemoteExchange
from fastforward_entrypoint.messages.events import Events, Listener
from fastforward_entrypoint.messages.internal import Internal
from fastforward_kit.tls import NodeTls
from fastforward_pipeline import Reason
from fastforward_pipeline.message import LISTENED_TO, Answered, Exchange, Failed

from fastforward.message.v1 import dispatch_pb2, dispatch_pb2_grpc, envelope_pb2
from fastforward.snapshot.v1 import snapshot_pb2
from support.certified import Authority
from support.decision_snapshots import NOW
from support.eventually import eventually
from support.happened import PLACED, happened, kind
from support.message_exchange import entrypoint
from support.message_target import message_target
from support.messages import envelope, reply
from support.processes import free_ports


class Inside:
    """An internal address where an exchange is served."""

    def __init__(self, exchange: Exchange, tls: NodeTls | None = None, port: int = 0, host: str = "127.0.0.1") -> None:
        self._internal = Internal(f"{host}:{port}", tls)
        self.server = ExchangeServer(exchange, self._internal.admit)

    async def start(self) -> int:
        return await self._internal.start(
            [partial(dispatch_pb2_grpc.add_EntryPointServiceServicer_to_server, self.server)]
        )

    async def stop(self, seconds: float) -> None:
        self.server.end_events()
        await self._internal.stop(seconds)


@asynccontextmanager
async def served(exchange: Exchange, port: int = 0) -> AsyncGenerator[tuple[RemoteExchange, Inside]]:
    """An exchange, as adapters in another process see it."""
    inside = Inside(exchange, port=port)
    remote = reaching(await inside.start())
    try:
        yield remote, inside
    finally:
        await remote.close()
        await inside.stop(0)


def reaching(port: int, tls: NodeTls | None = None, host: str = "127.0.0.1") -> RemoteExchange:
    return RemoteExchange(f"{host}:{port}", tls, lambda: float(NOW))


async def unasked(_: object) -> None:
    """Admits everybody."""


@dataclass
class Slow:
    """Handles messages when it is let; tells of events."""

    let: asyncio.Event = field(default_factory=asyncio.Event)
    begun: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    events: Events = field(default_factory=Events)
    listeners: list[Listener] = field(default_factory=list)

    async def exchange(self, envelope: envelope_pb2.Envelope) -> Answered | Failed:
        self.begun.append(envelope.header.id)
        try:
            await self.let.wait()
        except asyncio.CancelledError:
            self.given_up.append(envelope.header.id)
            raise
        return Answered(reply())

    async def listen(self, envelope: envelope_pb2.Envelope) -> Listener | Failed:
        del envelope
        self.listeners.append(self.events.listen(kind()))
        return self.listeners[-1]

    def tell(self, number: int) -> None:
        header = envelope_pb2.Header(id=str(number), type=PLACED, tenant="acme")
        self.events.publish(happened(envelope_pb2.Envelope(header=header)))


ASKED: Mapping[str, envelope_pb2.Envelope] = {
    "answered": envelope(),
    "limits and readers": envelope(origin="https://shop.example"),
    "refused": envelope(key=""),
    "malformed": envelope(b"{"),
    "no rule": envelope(path="/nothing"),
}


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
async def test_an_adapter_elsewhere_is_told_what_one_at_hand_is(asked: envelope_pb2.Envelope) -> None:
    async with message_target() as target, entrypoint(target.address) as exchange:
        here = envelope_pb2.Envelope()
        here.CopyFrom(asked)
        at_hand = await exchange.exchange(here)
        async with served(exchange) as (remote, _):
            assert await remote.exchange(asked) == at_hand
        for each in target.received:
            each.header.ClearField("authorization")
        assert len({each.SerializeToString(deterministic=True) for each in target.received}) <= 1


async def test_what_is_only_listened_to_is_told_as_such_and_can_be_listened_to() -> None:
    listened = snapshot_pb2.MessageDispatch(type=PLACED)
    async with entrypoint("127.0.0.1:1", message=listened) as exchange, served(exchange) as (remote, _):
        outcome = await remote.exchange(envelope())
        assert isinstance(outcome, Failed)
        assert outcome.refusal == LISTENED_TO
        refused = await remote.listen(envelope(key=""))
        assert isinstance(refused, Failed)
        assert refused.error.reason == Reason.KEY_MISSING.value


async def test_events_are_heard_elsewhere_until_the_listener_has_enough() -> None:
    slow = Slow()
    async with served(slow) as (remote, _):
        heard = await remote.listen(envelope())
        assert not isinstance(heard, Failed)
        for number in (1, 2):
            slow.tell(number)
        assert [(await anext(heard)).header.id for _ in range(2)] == ["1", "2"]
        waiting = asyncio.ensure_future(anext(heard, None))
        await asyncio.sleep(0.05)
        await heard.aclose()  # ty: ignore[missing-attribute] - as adapters ask
        assert await waiting is None
        await eventually(lambda: not slow.events._listeners, claim="nobody listens any more")


async def test_a_listener_that_is_gone_is_forgotten_though_nothing_happens() -> None:
    slow = Slow()
    async with served(slow) as (remote, _):
        assert not isinstance(await remote.listen(envelope()), Failed)
        assert slow.events._listeners
        await remote.close()
        await eventually(lambda: not slow.events._listeners)


async def test_a_drain_ends_what_is_heard_and_waits_for_what_is_under_way() -> None:
    slow = Slow()
    async with served(slow) as (remote, server):
        heard = await remote.listen(envelope())
        assert not isinstance(heard, Failed)
        sent = asyncio.create_task(remote.exchange(envelope()))
        await eventually(lambda: slow.begun)
        stopping = asyncio.create_task(server.stop(10))
        assert await anext(heard, None) is None
        assert not stopping.done()
        slow.let.set()
        assert isinstance(await sent, Answered)
        await stopping


async def test_an_entrypoint_that_starts_again_is_waited_for() -> None:
    slow = Slow()
    slow.let.set()
    [port] = free_ports(1)
    remote = reaching(port)
    sent = asyncio.create_task(remote.exchange(envelope()))
    await asyncio.sleep(0.3)
    assert not sent.done()
    async with served(slow, port):
        assert isinstance(await sent, Answered)
    await remote.close()


class Names(asyncio.DatagramProtocol):
    """A DNS server that knows one IPv4 address of every name."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.transport: Any = None  # asyncio's is no DatagramTransport to isinstance

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        """Answers the one question of a query (RFC 1035, section 4)."""
        end = data.index(b"\0", 12) + 5
        told = data[end - 4 : end - 2] == b"\0\x01"
        head = data[:2] + struct.pack(">HHHHH", 0x8580, 1, told, 0, 0)
        answer = struct.pack(">HHHIH", 0xC00C, 1, 1, 0, 4) + socket.inet_aton(self.address)
        self.transport.sendto(head + data[12:end] + (answer if told else b""), addr)


async def test_an_entrypoint_that_is_replaced_by_one_elsewhere_is_found() -> None:
    slow, [port] = Slow(), free_ports(1)
    slow.let.set()
    transport, names = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Names("127.0.0.2"), local_addr=("127.0.0.1", 0)
    )
    one, successor = Inside(slow, port=port, host="127.0.0.2"), Inside(slow, port=port, host="127.0.0.3")
    await one.start()
    await successor.start()
    remote = RemoteExchange(f"dns://127.0.0.1:{transport.get_extra_info('sockname')[1]}/entrypoint.example.com:{port}")
    try:
        # The first time gRPC looks the name up at once, whatever it is told.
        assert isinstance(await remote.exchange(envelope()), Answered)
        names.address = "127.0.0.3"
        await one.stop(0)
        # Each waits for three seconds, and gRPC by itself for half a minute.
        outcomes = [await remote.exchange(envelope()) for _ in range(3)]
        assert isinstance(outcomes[-1], Answered)
    finally:
        await remote.close()
        await successor.stop(0)
        await one.stop(0)
        transport.close()


async def test_one_that_does_not_come_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "REACH_S", 0.2)
    remote = reaching(free_ports(1)[0])
    for outcome in (await remote.exchange(envelope()), await remote.listen(envelope())):
        assert isinstance(outcome, Failed)
        assert outcome.error.reason == Reason.UNREACHABLE.value
    await remote.close()


@pytest.mark.parametrize("once", ["", "k-1"])
async def test_what_may_have_arrived_is_sent_again_only_with_a_key(monkeypatch: pytest.MonkeyPatch, once: str) -> None:
    monkeypatch.setattr(apart, "REACH_S", 0.2)

    class Dies(ExchangeServer):
        """Ends each connection in the midst of its message."""

        async def Exchange(  # noqa: N802 - the .proto names it
            self, request: dispatch_pb2.ExchangeRequest, context: object
        ) -> dispatch_pb2.ExchangeResponse:
            del context
            slow.begun.append(request.envelope.header.id)
            raise ConnectionError

    slow = Slow()
    monkeypatch.setattr(apart, "judge", lambda _: apart.Meaning.AGAIN)
    inside = Inside(slow)
    inside.server = Dies(slow, unasked)
    remote = reaching(await inside.start())
    outcome = await remote.exchange(envelope(once=once))
    assert isinstance(outcome, Failed)
    assert outcome.error.reason == Reason.UNREACHABLE.value
    assert (len(slow.begun) > 1) is bool(once)
    await remote.close()
    await inside.stop(0)


async def test_whoever_gives_up_is_given_up() -> None:
    slow = Slow()
    async with served(slow) as (remote, _):
        sent = asyncio.create_task(remote.exchange(envelope()))
        await eventually(lambda: slow.begun)
        sent.cancel()
        await eventually(lambda: slow.given_up == slow.begun)


async def test_only_workloads_hand_in_messages_where_peers_prove_who_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apart, "REACH_S", 0.5)
    (tmp_path / "other").mkdir()
    authority, slow = Authority(tmp_path), Slow()
    slow.let.set()
    server = Inside(slow, authority.node("workload", "entrypoint"))
    port = await server.start()
    reached = []
    for tls in (
        authority.node("workload"),
        authority.node("edge"),
        None,
        Authority(tmp_path / "other").node("workload"),
    ):
        remote = reaching(port, tls, "localhost")
        reached.append(isinstance(await remote.exchange(envelope()), Answered))
        await remote.close()
    await server.stop(0)
    assert reached == [True, False, False, False]


async def test_certificates_are_renewed_at_both_ends(tmp_path: Path) -> None:
    authority, slow = Authority(tmp_path), Slow()
    slow.let.set()
    near, far = authority.node("workload", "near"), authority.node("workload", "far")
    server = Inside(slow, far)
    remote = reaching(await server.start(), near, "localhost")
    assert isinstance(await remote.exchange(envelope()), Answered)
    for name, tls in (("near", near), ("far", far)):
        authority.fill("workload", name)
        assert tls.refresh()
    assert isinstance(await remote.exchange(envelope()), Answered)
    assert remote._to().version == near.version == 2
    await remote.close()
    await server.stop(0)


async def test_messages_that_wait_for_entrypoint_outlive_the_certificate_that_they_came_with(tmp_path: Path) -> None:
    authority, slow, [port] = Authority(tmp_path), Slow(), free_ports(1)
    slow.let.set()
    near, far = authority.node("workload", "near"), authority.node("workload", "far")
    remote = reaching(port, near, "localhost")
    first = [asyncio.create_task(ask(envelope())) for ask in (remote.exchange, remote.listen)]
    await asyncio.sleep(0.1)
    authority.fill("workload", "near")
    assert near.refresh()
    second = asyncio.create_task(remote.exchange(envelope()))
    await asyncio.sleep(0.1)
    server = Inside(slow, far, port)
    await server.start()
    try:
        assert not any(isinstance(each, Failed) for each in await asyncio.gather(*first, second))
    finally:
        await remote.close()
        await server.stop(0)


async def test_messages_that_wait_for_entrypoint_end_with_the_connection() -> None:
    remote = reaching(free_ports(1)[0])
    waiting = asyncio.create_task(remote.exchange(envelope()))
    await asyncio.sleep(0.1)
    await remote.close()
    assert isinstance(await waiting, Failed)
    assert remote._line is None


LAZY = """
import sys
from fastforward_entrypoint import bootstrap
from fastforward_entrypoint.messages.adapters import import_adapters
from fastforward.snapshot.v1 import snapshot_pb2 as pb

def there():
    return {name for name in ("fastforward_graphql", "fastforward_grpc", "graphql") if name in sys.modules}

assert there() == set(), there()
plan = pb.Plan(adapter=pb.AdapterDispatch(protocol=pb.ADAPTER_PROTOCOL_GRAPHQL))
import_adapters([pb.Resource(name="plan/a", plan=plan), pb.Resource(name="limit/b", limit=pb.Limit())])
assert there() >= {"fastforward_graphql", "graphql"}, there()
assert "fastforward_grpc" not in sys.modules
import_adapters([pb.Resource(name="plan/c", plan=pb.Plan(adapter=pb.AdapterDispatch(protocol=99)))])
"""


def test_an_adapter_is_imported_when_a_rule_names_it_and_no_sooner() -> None:
    done = subprocess.run([sys.executable, "-c", LAZY], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
