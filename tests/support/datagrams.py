"""Origins that speak in datagrams, and clients who ask them. Called by tests of UDP through a real Envoy."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Generator, Iterable

_HOST = "127.0.0.1"
_LARGEST = 65_535
ANSWER_S = 5.0
QUIET_S = 0.5
_AT_ONCE = 100
"""More would not fit into what the kernel keeps for a socket."""


@contextlib.contextmanager
def datagram_origin(name: str) -> Generator[int]:
    """The port of a server that answers each datagram with its own name, a colon and the datagram."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((_HOST, 0))
        port: int = server.getsockname()[1]
        thread = threading.Thread(target=_answer, args=(server, name.encode()), daemon=True)
        thread.start()
        try:
            yield port
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.sendto(b"", (_HOST, port))
            thread.join(ANSWER_S)


def _answer(server: socket.socket, name: bytes) -> None:
    while True:
        data, client = server.recvfrom(_LARGEST)
        if not data:
            return
        server.sendto(name + b":" + data, client)


@contextlib.contextmanager
def datagram_client(port: int) -> Generator[socket.socket]:
    """A socket whose datagrams go to `port` of this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(ANSWER_S)
        client.connect((_HOST, port))
        yield client


def ask(client: socket.socket, data: bytes = b"?") -> tuple[str, bytes]:
    """Who answered, and what they had got; TimeoutError when nobody does."""
    client.send(data)
    name, _, rest = client.recv(_LARGEST).partition(b":")
    return name.decode(), rest


def ask_once(port: int, data: bytes = b"?", *, wait: float = ANSWER_S) -> str:
    """Who answers a new client; empty when nobody does."""
    with datagram_client(port) as client:
        client.settimeout(wait)
        try:
            return ask(client, data)[0]
        except (TimeoutError, ConnectionRefusedError):
            return ""


def ask_often(port: int, times: int) -> Counter[str]:
    """How many of as many new clients were answered by whom; those whom nobody answers count under the empty name."""
    found: Counter[str] = Counter()
    for begun in range(0, times, _AT_ONCE):
        with contextlib.ExitStack() as open_:
            clients = [open_.enter_context(datagram_client(port)) for _ in range(min(_AT_ONCE, times - begun))]
            for client in clients:
                client.send(b"?")
            found.update(_collect(clients))
    found[""] = times - found.total()
    return found


def _collect(clients: Iterable[socket.socket]) -> Generator[str]:
    """Until nothing has come for a while."""
    waiting, quiet_since = set(clients), time.monotonic()
    while waiting and time.monotonic() - quiet_since < QUIET_S:
        for client in select.select(list(waiting), [], [], QUIET_S)[0]:
            waiting.discard(client)
            yield client.recv(_LARGEST).partition(b":")[0].decode()
            quiet_since = time.monotonic()
