"""A cluster takes the first network that nothing on this machine overlaps, and cuts it without overlaps."""

from __future__ import annotations

import ipaddress
from itertools import combinations

import pytest

from support.cluster import network
from support.cluster.network import FIRST, LAST, Network


def routes(monkeypatch: pytest.MonkeyPatch, *destinations: str) -> None:
    monkeypatch.setattr(network, "_ip", lambda *_: [{"dst": each} for each in destinations])


@pytest.mark.parametrize(
    ("destinations", "number"),
    [
        (("default", "192.0.2.0/24"), 200),
        (("10.200.0.0/16", "10.200.0.1"), 201),
        (("10.200.7.9", "10.201.0.0/30", "10.203.0.0/16"), 202),
        (("10.192.0.0/11",), 224),
    ],
)
def test_the_first_free_network_is_taken(
    monkeypatch: pytest.MonkeyPatch, destinations: tuple[str, ...], number: int
) -> None:
    routes(monkeypatch, *destinations)
    assert network.free_network() == Network(number)


def test_it_is_said_when_none_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    routes(monkeypatch, "10.0.0.0/8")
    with pytest.raises(OSError, match=f"from 10.{FIRST}.0.0/16 to 10.{LAST}.0.0/16"):
        network.free_network()


def test_the_parts_of_a_network_do_not_overlap_and_hold_their_addresses() -> None:
    made = Network(200)
    parts = [ipaddress.IPv4Network(each) for each in (made.at("0.0/30"), made.pods, made.services, made.load_balancers)]
    link, pods, services, _ = parts
    assert not any(one.overlaps(other) for one, other in combinations(parts, 2))
    assert all(part.subnet_of(ipaddress.IPv4Network(made.whole)) for part in parts)
    assert {ipaddress.IPv4Address(each) in link for each in (made.machine, made.node)} == {True}
    assert {ipaddress.IPv4Address(each) in services for each in (made.api_service, made.dns)} == {True}
    assert ipaddress.IPv4Network(made.pods_of_node).subnet_of(pods)
