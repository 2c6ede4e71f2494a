"""Requests without a pause over every protocol, each of whose answers is judged: whether anything was lost.

In: hosts, and what they may answer at the moment. Out: a `Tally` of right answers and of everything else. Called by
no_drop. A request is lost when its connection breaks, when its status is not 200, and when what it says is of another
route or of another version than those that were in force while it was under way. Nothing is tried twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
import websockets
from bookshop.v1 import catalog_pb2, catalog_pb2_grpc
from websockets.asyncio.client import connect

from perf.clients import AskError, Http1, Http2, Place, Seen

HEADERS = {"x-load": "1", "x-also": "1"}
"""Of every request: rules can match them."""
PATIENCE_S = 10.0
_PAUSE_S = 0.004
_SHORT_SOCKET = 40
"""So many messages, and the client takes another socket."""
_PATH = "/books/emma"
LEAST = 20
"""Right answers of each client, or there was no load."""


@dataclass(slots=True)
class Expected:
    """What may be answered while changes are on their way: of the newest version that is known to be in force
    everywhere when the request begins, or of a later one that has been asked for by the time it is answered.
    """

    answers: Callable[[int], frozenset[str]]
    """By version."""
    settled: int = 0
    """Is in force everywhere."""
    wanted: int = 0
    """Has been asked for."""

    def has(self, answer: str, since: int) -> bool:
        """Whether it is right for a request that began when version `since` was in force."""
        return any(answer in self.answers(version) for version in range(since, self.wanted + 1))


@dataclass(slots=True)
class Tally:
    """What became of all requests."""

    right: Counter[str] = field(default_factory=Counter)
    """By protocol."""
    lost: Counter[str] = field(default_factory=Counter)
    """By protocol and what came instead."""

    @property
    def requests(self) -> int:
        return self.right.total() + self.lost.total()

    def judge(self, over: str, seen: Seen, expected: Expected, since: int) -> None:
        """Count an answer."""
        if seen.status != 200:
            self.lost[f"{over}: {seen.status} {seen.reason}"] += 1
        elif not expected.has(seen.said, since):
            self.lost[f"{over}: answered {seen.said!r}, not of versions {since} to {expected.wanted}"] += 1
        else:
            self.right[over] += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Hosts that are asked in turn at one of some addresses, and what they may answer."""

    hosts: Sequence[str]
    expected: Expected
    places: Callable[[], Sequence[Place]]
    """Where new connections may go at the moment; sockets and calls of gRPC go to the first of them."""
    label: str = ""
    """Stands before the protocol."""
    tls: bool = False
    """Whether clients speak TLS; the certificate is part of what a new connection of HTTP/1.1 is told."""
    over: Collection[str] = ("HTTP/1.1", "HTTP/2", "gRPC", "WebSocket")


@asynccontextmanager
async def checked_load(*targets: Target) -> AsyncGenerator[Tally]:
    """Clients of every protocol at every target, while the block runs."""
    tally = Tally()
    ended = asyncio.Event()
    work = [client for target in targets for client in _clients(target, tally, ended)]
    tasks = [asyncio.create_task(each) for each in work]
    # Each says what it is before it does anything.
    await asyncio.sleep(0)
    try:
        yield tally
        await _enough(tally)
        ended.set()
        async with asyncio.timeout(PATIENCE_S):
            # A client that ended by an error of its own has judged nothing since.
            await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _enough(tally: Tally) -> None:
    """However fast the changes were, each client has had its part in them."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            while any(count < LEAST for count in tally.right.values()):  # noqa: ASYNC110 - clients run on
                await asyncio.sleep(_PAUSE_S)


def _clients(target: Target, tally: Tally, ended: asyncio.Event) -> list[Coroutine[object, object, None]]:
    def http1(place: Place, host: str) -> Http1:
        return Http1(place, host if target.tls else "")

    def http2(place: Place, host: str) -> Http2:
        return Http2(place, host if target.tls else "")

    made: list[Coroutine[object, object, None]] = []
    if "HTTP/1.1" in target.over:
        made += [_ask_http(target, tally, ended, f"HTTP/1.1, {each}", http1) for each in ("kept", "new")]
    if "HTTP/2" in target.over:
        made.append(_ask_http(target, tally, ended, "HTTP/2", http2))
    if "gRPC" in target.over:
        made.append(_call_grpc(target, tally, ended))
    if "WebSocket" in target.over:
        made.append(_short_sockets(target, tally, ended))
        made += [_long_socket(target, host, tally, ended) for host in target.hosts]
    return made


async def _ask_http(
    target: Target,
    tally: Tally,
    ended: asyncio.Event,
    over: str,
    make: Callable[[Place, str], Http1 | Http2],
) -> None:
    """One client; a connection for each host at each place, or a new one each time."""
    tally.right[target.label + over] += 0
    kept: dict[tuple[Place, str], Http1 | Http2] = {}
    name = target.label + over
    while not ended.is_set():
        for place, host in {**dict.fromkeys(itertools.product(target.places(), target.hosts)), **kept}:
            client = kept.get((place, host)) or make(place, host)
            if place not in target.places() and not client.is_open:
                # Who has a connection goes on with it, even where no new ones may go.
                kept.pop((place, host), None)
                continue
            since = target.expected.settled
            try:
                async with asyncio.timeout(PATIENCE_S):
                    tally.judge(name, await client.get(host, _PATH, HEADERS), target.expected, since)
            except (AskError, TimeoutError) as error:
                tally.lost[f"{name}: {error or 'no answer'}"] += 1
                client.close()
            if over.endswith("new"):
                client.close()
            else:
                kept[place, host] = client
            await asyncio.sleep(_PAUSE_S)
    for client in kept.values():
        client.close()


async def _call_grpc(target: Target, tally: Tally, ended: asyncio.Event) -> None:
    """Calls over a channel for each host; the channel tries nothing again."""
    channels = [_channel(target, host) for host in target.hosts]
    name = f"{target.label}gRPC"
    tally.right[name] += 0
    try:
        for number in itertools.count():
            if ended.is_set():
                return
            stub = catalog_pb2_grpc.CatalogStub(channels[number % len(channels)])
            since = target.expected.settled
            try:
                call = stub.GetBook(
                    catalog_pb2.GetBookRequest(id="emma"), metadata=tuple(HEADERS.items()), timeout=PATIENCE_S
                )
                said = dict(await call.initial_metadata() or ())
                answer = await call
                if answer.served_by != said.get("x-served-by"):
                    tally.lost[f"{name}: the answer of {answer.served_by}"] += 1
                tally.judge(name, Seen.of(200, said), target.expected, since)
            except grpc.aio.AioRpcError as error:
                tally.lost[f"{name}: {error.code().name} {error.details()}"] += 1
            await asyncio.sleep(_PAUSE_S)
    finally:
        for channel in channels:
            await channel.close()


def _channel(target: Target, host: str) -> grpc.aio.Channel:
    address, port = target.places()[0]
    options = [("grpc.default_authority", host), ("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)]
    return grpc.aio.insecure_channel(f"{address}:{port}", options=options)


async def _long_socket(target: Target, host: str, tally: Tally, ended: asyncio.Event) -> None:
    """One socket that lives as long as the load; each end before is a loss."""
    while not ended.is_set():
        await _socket(target, host, tally, ended, f"{target.label}WebSocket, long", most=None)


async def _short_sockets(target: Target, tally: Tally, ended: asyncio.Event) -> None:
    """One socket after the other."""
    for host in itertools.cycle(target.hosts):
        if ended.is_set():
            return
        await _socket(target, host, tally, ended, f"{target.label}WebSocket, short", most=_SHORT_SOCKET)


async def _socket(
    target: Target, host: str, tally: Tally, ended: asyncio.Event, name: str, *, most: int | None
) -> None:
    """A handshake is judged like any answer; then each message must come back."""
    address, port = target.places()[0]
    since = target.expected.settled
    tally.right[name] += 0
    try:
        url = f"ws://{host}:{port}/ws/echo"
        async with connect(
            url, host=address, port=port, additional_headers=HEADERS, proxy=None, open_timeout=PATIENCE_S
        ) as socket:
            assert socket.response is not None
            tally.judge(name, Seen.of(200, dict(socket.response.headers)), target.expected, since)
            for number in itertools.count() if most is None else range(most):
                if ended.is_set():
                    return
                await socket.send(f"{host} {number}")
                async with asyncio.timeout(PATIENCE_S):
                    back = await socket.recv()
                if back == f"{host} {number}":
                    tally.right[name] += 1
                else:
                    tally.lost[f"{name}: {str(back)[:80]} came back"] += 1
                await asyncio.sleep(_PAUSE_S * 2)
    except (websockets.WebSocketException, OSError, TimeoutError) as error:
        tally.lost[f"{name}: {error or type(error).__name__}"] += 1
        await asyncio.sleep(_PAUSE_S)
