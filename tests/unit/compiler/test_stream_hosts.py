"""Of the listeners on one port one alone has a server name: Envoy takes none of two with the same."""

from __future__ import annotations

import pytest

from support import gatewayapi
from support.credentials import tls_data
from support.gatewayapi import backend, foreign, listener, parent, pods, rule, tls_listener
from support.resources import Document, Json, secret

from .conftest import Bench

API, OTHER = "api.example.com", "other.example.com"
HTTPS = tls_listener(443, "cert", name="web", hostname=API)


def passing(name: str, **fields: Json) -> Document:
    return listener(443, name, protocol="TLS", tls={"mode": "Passthrough"}, **fields)


def tls_route(*hosts: str, **to: Json) -> Document:
    rules = [{"backendRefs": [backend("up")]}]
    return foreign("TLSRoute", "stream", {"parentRefs": [parent(**to)], "hostnames": list(hosts), "rules": rules})


def applied(bench: Bench, *listeners: Document, route: Document) -> dict[str, tuple[str, ...]]:
    """The chains of the port, and the server names of each."""
    bench.apply(
        gatewayapi.gateway_class(),
        gatewayapi.gateway(*listeners),
        secret("cert", tls_data(API), "kubernetes.io/tls"),
        *pods("up", 8080),
        gatewayapi.http_route("web", rule(to="up"), parents=(parent(sectionName="web"),)),
        route,
    )
    (edge,) = bench.compiler.snapshot().edges
    return {chain.name: chain.hosts for each in edge.listeners for chain in each.chains}


def told(bench: Bench) -> list[tuple[str, bool, str, str]]:
    (part,) = bench.report("TLSRoute", "stream").parts
    return [(each.type, each.holds, each.reason, each.message) for each in part.verdicts]


def test_a_route_of_streams_takes_no_host_of_a_narrower_listener(bench: Bench) -> None:
    assert applied(bench, HTTPS, passing("pass"), route=tls_route(API)) == {"web": (API,)}
    message = (
        "api.example.com belongs to listener web of Gateway default/public: "
        "of a port's listeners the one with the narrowest host name has a host."
    )
    assert told(bench)[0] == ("Accepted", False, "NoMatchingListenerHostname", message)
    (found,) = bench.report("TLSRoute", "stream").problems
    assert (found.field, found.message) == ("spec.parentRefs[0]", message)


def test_its_other_hosts_it_has_and_the_status_says_which_it_has_not(bench: Bench) -> None:
    chains = applied(bench, HTTPS, passing("pass"), route=tls_route(API, OTHER))
    assert chains == {"web": (API,), f"pass/{OTHER}": (OTHER,)}
    (kind, holds, reason, message), resolved = told(bench)
    assert (kind, holds, reason) == ("Accepted", True, "Accepted")
    assert message.startswith("api.example.com belongs to listener web")
    assert resolved == ("ResolvedRefs", True, "ResolvedRefs", "")


@pytest.mark.parametrize("hosts", [(API,), (API, OTHER)])
def test_a_route_on_all_listeners_is_on_the_narrowest_for_each_host(bench: Bench, hosts: tuple[str, ...]) -> None:
    listeners = (passing("wild", hostname="*.example.com"), passing("own", hostname=API))
    chains = applied(bench, *listeners, route=tls_route(*hosts))
    assert chains == {f"{'own' if host == API else 'wild'}/{host}": (host,) for host in hosts}
    assert told(bench)[0] == ("Accepted", True, "Accepted", "")


def test_ports_and_listeners_that_are_refused_take_no_host_away(bench: Bench) -> None:
    elsewhere = {**HTTPS, "port": 8443}
    assert applied(bench, elsewhere, passing("pass"), route=tls_route(API))[f"pass/{API}"] == (API,)
    twice = ({**HTTPS, "name": "one"}, {**HTTPS, "name": "two"})
    assert applied(bench, *twice, passing("pass"), route=tls_route(API)) == {f"pass/{API}": (API,)}
