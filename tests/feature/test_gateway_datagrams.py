"""UDPRoutes: datagrams by way of a Gateway's listener, a port that is one of TCP as well, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import ExitStack

import pytest
from fastforward_kit.companion.console import Console

from support.datagrams import ask, ask_often, ask_once, datagram_client, datagram_origin
from support.gateway import Gateway, until
from support.gatewayapi import backend, foreign, gateway_class, listener, parent, pods
from support.gatewayapi import gateway as gateway_of
from support.resources import Document, endpoint_slice, service, upstream

MANY = 200
NOWHERE_S = 0.3


@pytest.fixture
def names(gateway: Gateway) -> Generator[tuple[str, ...]]:
    """Two Services of datagrams, `one` and `two`, whose pods say so, and a Gateway that has its port twice."""
    with ExitStack() as running:
        found = ("one", "two")
        gateway.apply(
            gateway_class(),
            gateway_of(
                listener(gateway.port, "datagrams", protocol="UDP"), listener(gateway.port, "bytes", protocol="TCP")
            ),
            *(each for name in found for each in datagram_pods(name, running.enter_context(datagram_origin(name)))),
        )
        yield found


def datagram_pods(name: str, port: int) -> tuple[Document, ...]:
    """A Service with port 80 of UDP, and its endpoint on this machine."""
    ports = ({"name": "dgram", "port": port, "protocol": "UDP"},)
    return (
        service(name, {"name": "dgram", "port": 80, "protocol": "UDP"}),
        endpoint_slice(name, {"addresses": ["127.0.0.1"]}, ports=ports),
    )


def udp_route(*backends: Document, name: str = "datagrams", **metadata: str) -> Document:
    spec = {"parentRefs": [parent(sectionName="datagrams")], "rules": [{"backendRefs": list(backends)}]}
    return foreign("UDPRoute", name, spec, **metadata)


@pytest.mark.usefixtures("names")
def test_a_udp_route_leads_datagrams_there_and_answers_back(gateway: Gateway) -> None:
    gateway.apply(udp_route(backend("one")))
    with datagram_client(gateway.port) as client:
        assert ask(client, b"a") == ("one", b"a")
        assert ask(client, b"b" * 9000) == ("one", b"b" * 9000)


@pytest.mark.usefixtures("names")
def test_a_port_is_one_of_udp_and_one_of_tcp(gateway: Gateway) -> None:
    origin = gateway.origin("web")
    route = {"parentRefs": [parent(sectionName="bytes")], "rules": [{"backendRefs": [backend("web")]}]}
    gateway.apply(udp_route(backend("two")), *pods("web", origin.port), foreign("TCPRoute", "bytes", route))
    assert ask_once(gateway.port) == "two"
    assert gateway.get().origin == "web"


@pytest.mark.usefixtures("names")
def test_a_pod_that_ends_sees_that_bytes_and_datagrams_still_pass(gateway: Gateway) -> None:
    """Its companion holds Envoy for as long as the number grows: no other test has a part of it in the meantime."""
    console = Console(gateway.stack.folder / "admin.sock")

    def passed() -> int:
        return asyncio.run(console.traffic())[1]

    origin = gateway.origin("web")
    route = {"parentRefs": [parent(sectionName="bytes")], "rules": [{"backendRefs": [backend("web")]}]}
    gateway.apply(udp_route(backend("one")), *pods("web", origin.port), foreign("TCPRoute", "bytes", route))
    before = passed()
    assert gateway.get().origin == "web"
    after_bytes = until(passed, lambda now: now > before)
    assert ask_once(gateway.port) == "one"
    until(passed, lambda now: now > after_bytes)


@pytest.mark.usefixtures("names")
def test_sessions_are_shared_by_weight_also_those_for_nobody(gateway: Gateway) -> None:
    gateway.apply(
        udp_route(backend("one", weight=60), backend("two", weight=0), backend("absent", weight=40)),
        expect={("UDPRoute", "datagrams"): "BackendNotFound"},
    )
    counted = ask_often(gateway.port, MANY)
    assert counted["one"] == pytest.approx(0.6 * MANY, abs=40)
    assert counted["two"] == 0
    gateway.apply(udp_route(backend("one", weight=0), backend("two", weight=1)))
    assert ask_often(gateway.port, MANY) == {"two": MANY, "": 0}


@pytest.mark.usefixtures("names")
def test_the_oldest_route_has_the_listener_until_it_goes(gateway: Gateway) -> None:
    gateway.apply(
        udp_route(backend("two"), name="young", creationTimestamp="2026-02-01T00:00:00Z"),
        udp_route(backend("one"), name="old", creationTimestamp="2026-01-01T00:00:00Z"),
    )
    assert ask_often(gateway.port, 20) == {"one": 20, "": 0}
    gateway.delete("UDPRoute", "old")
    until(lambda: ask_once(gateway.port, wait=NOWHERE_S), lambda name: name == "two")


@pytest.mark.usefixtures("names")
def test_an_upstream_is_for_connections(gateway: Gateway) -> None:
    gateway.apply(
        upstream("books", gateway.port),
        udp_route(backend("books", kind="Upstream", group="gateway.fastforward.dev")),
        expect={("UDPRoute", "datagrams"): "InvalidKind"},
    )
    assert ask_once(gateway.port, wait=NOWHERE_S) == ""
