"""Behind something that passes connections on, asked of a real Envoy: who may say whose it is, and who not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fastforward_compiler import ir

from support.client import Connection
from support.ir_values import ORIGIN, delta, edge, entry, scope, table, upstream
from support.origin import Origin
from support.static_envoy import StaticEnvoy

Serve = Callable[..., StaticEnvoy]
DENIED = ir.Admission(deny_addresses=("198.51.100.0/24",))
ENTRIES = (entry("known", "/known", edge_admission=DENIED, to=ORIGIN),)


def world(origin: Origin, made: ir.Edge) -> ir.Delta:
    return delta(
        edges=(made,),
        scopes=(scope("a.test"),),
        tables=(table("a.test", *ENTRIES),),
        upstreams=(upstream(port=origin.port),),
    )


def fronted(port: int, *addresses: str, passes: bool = True) -> ir.Edge:
    listener = ir.Listener(name="http", port=port, proxy_protocol=passes)
    front = ir.Traefik(addresses=addresses, hosts=())
    return edge(listeners=(listener,), traefik=front, trusted_hop_count=1)


@pytest.fixture(scope="module")
def passed(serve: Serve, origin: Origin) -> StaticEnvoy:
    return serve(lambda port: world(origin, fronted(port, "127.0.0.0/8")))


@pytest.fixture(scope="module")
def for_others(serve: Serve, origin: Origin) -> StaticEnvoy:
    return serve(lambda port: world(origin, fronted(port, "192.0.2.0/24")))


def ask(envoy: StaticEnvoy, client: str = "", forwarded: str = "") -> int:
    """The status; 0 when the connection is closed. `client` is what the connection begins with."""
    try:
        with Connection(envoy.port) as connection:
            if client:
                connection.socket.sendall(f"PROXY TCP4 {client} 127.0.0.1 1234 {envoy.port}\r\n".encode())
            headers = {"x-forwarded-for": forwarded} if forwarded else {}
            return connection.request("GET", "/known", host="a.test", headers=headers).status
    except (OSError, ValueError):
        return 0


def test_the_address_is_what_the_connection_begins_with(passed: StaticEnvoy, origin: Origin) -> None:
    assert ask(passed, "198.51.100.7") == 403
    assert ask(passed, "203.0.113.7") == 200
    assert origin.last.header("x-forwarded-for") == "203.0.113.7"


def test_what_the_request_says_of_it_does_not_count(passed: StaticEnvoy, origin: Origin) -> None:
    assert ask(passed, "198.51.100.7", forwarded="203.0.113.7") == 403
    assert ask(passed, "203.0.113.7", forwarded="198.51.100.7") == 200
    assert origin.last.header("x-forwarded-for") == "203.0.113.7"


def test_a_connection_that_does_not_begin_so_is_closed(passed: StaticEnvoy) -> None:
    assert ask(passed) == 0


def test_from_anywhere_else_connections_are_closed_whoever_they_say_they_are(for_others: StaticEnvoy) -> None:
    assert ask(for_others, "203.0.113.7") == 0
    assert ask(for_others, "192.0.2.1") == 0


def test_so_are_those_that_carry_requests_for_others(serve: Serve, origin: Origin) -> None:
    other = serve(lambda port: world(origin, fronted(port, "192.0.2.0/24", passes=False)))
    assert ask(other, forwarded="203.0.113.7") == 0
    own = serve(lambda port: world(origin, fronted(port, "127.0.0.0/8", passes=False)))
    assert (ask(own, forwarded="203.0.113.7"), ask(own, forwarded="198.51.100.7")) == (200, 403)
