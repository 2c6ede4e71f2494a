"""An open loop: requests are due at times fixed beforehand, whether or not earlier ones have been answered.

In: whole requests, a rate. Out: how long each took from the time it was due, so that whatever held it up counts: no
coordinated omission (Gil Tene). Called by benchmarks for latencies. The times are of a Poisson process, whose seed is
the same for every subject of a comparison.

One thread that sleeps in select(2) until an answer comes or a request is due: epoll waits whole milliseconds, and a
loop that spins takes a core away from those that it measures. It wakes some 10 to 60 microseconds late, for every
subject alike: read differences, not absolute times.
"""

from __future__ import annotations

import random
import select
import socket
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

_GRACE_S = 2.0
"""For answers that are on their way when the last request has been sent."""
_END = b"\r\n\r\n"


@dataclass(slots=True)
class Latencies:
    """What an open loop saw."""

    seconds: list[float] = field(default_factory=list)
    """Of every answer with a status of 200 to 399, in the order of answers."""
    failed: int = 0
    """Other answers, connections that broke, and answers that never came."""


@dataclass(slots=True)
class _Connection:
    socket: socket.socket
    due: float = 0.0
    received: bytes = b""


def open_loop(port: int, requests: Sequence[bytes], *, rate: float, seconds: float, connections: int = 32) -> Latencies:
    """Send these in turn, `rate` a second; the connections are kept open."""
    loop = _Loop(port, connections)
    chance = random.Random(0)
    try:
        due = time.perf_counter() + 0.01
        for number in range(round(rate * seconds)):
            loop.wait_until(due)
            loop.send(requests[number % len(requests)], due)
            due += chance.expovariate(rate)
        loop.drain(time.perf_counter() + _GRACE_S)
        return loop.latencies
    finally:
        loop.close()


class _Loop:
    def __init__(self, port: int, connections: int) -> None:
        self.latencies = Latencies()
        self._port = port
        self._all: dict[int, _Connection] = {}
        self._idle: deque[_Connection] = deque()
        self._waiting: deque[tuple[bytes, float]] = deque()
        for _ in range(connections):
            self._idle.append(self._connect())

    def wait_until(self, moment: float) -> None:
        """Take answers until then."""
        while (left := moment - time.perf_counter()) > 0:
            self._take(left)

    def send(self, request: bytes, due: float) -> None:
        """On a connection that is idle; when none is, once one is."""
        self._waiting.append((request, due))
        self._send_waiting()

    def drain(self, until: float) -> None:
        """Take the last answers; what has none by then has failed."""
        while (len(self._idle) < len(self._all) or self._waiting) and time.perf_counter() < until:
            self._take(0.01)
        self.latencies.failed += len(self._all) - len(self._idle) + len(self._waiting)

    def close(self) -> None:
        for each in self._all.values():
            each.socket.close()

    def _connect(self) -> _Connection:
        made = socket.create_connection(("127.0.0.1", self._port), timeout=5)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.setblocking(False)
        connection = _Connection(made)
        self._all[made.fileno()] = connection
        return connection

    def _send_waiting(self) -> None:
        while self._waiting and self._idle:
            connection = self._idle.popleft()
            request, connection.due = self._waiting.popleft()
            try:
                connection.socket.send(request)
            except OSError:
                self._broken(connection)

    def _take(self, timeout: float) -> None:
        for number in select.select(self._all, (), (), timeout)[0]:
            connection = self._all[number]
            try:
                received = connection.socket.recv(65536)
            except BlockingIOError:
                continue
            except OSError:
                received = b""
            if not received:
                self._broken(connection)
                continue
            connection.received += received
            if _is_whole(connection.received):
                self._answered(connection)
        self._send_waiting()

    def _answered(self, connection: _Connection) -> None:
        if connection.received[9:10] in (b"2", b"3"):
            self.latencies.seconds.append(time.perf_counter() - connection.due)
        else:
            self.latencies.failed += 1
        connection.received = b""
        self._idle.append(connection)

    def _broken(self, connection: _Connection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)
        else:
            self.latencies.failed += 1
        number = connection.socket.fileno()
        del self._all[number]
        connection.socket.close()
        self._idle.append(self._connect())


def _is_whole(received: bytes) -> bool:
    head, end, body = received.partition(_END)
    if not end:
        return False
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return len(body) >= int(length or 0)
