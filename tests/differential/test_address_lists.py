"""Envoy and the evaluator agree on who is in a list: nested, touching, of both families, at the edges of networks."""

from __future__ import annotations

import random
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from security.deployment import HOST, Deployment, deploying

from support.resources import Document, config_map, prefix, route, rule

WORLDS = 5
LISTS = ("one", "two", "three")
COUNTRIES = ("DE", "FR")
Network = IPv4Network | IPv6Network


def make_network(rng: random.Random) -> Network:
    if rng.random() < 0.3:
        return IPv6Network(
            ((0x20010DB8 << 96) | rng.getrandbits(24) << 72, rng.choice((32, 40, 44, 48, 56))), strict=False
        )
    if rng.random() < 0.1:
        return IPv6Network(
            (0xFFFF << 32 | 10 << 24 | rng.getrandbits(12) << 12, rng.choice((96, 104, 116))), strict=False
        )
    return IPv4Network((10 << 24 | rng.getrandbits(12) << 12, rng.choice((8, 14, 20, 24, 28, 32))), strict=False)


def make_lists(rng: random.Random) -> tuple[dict[str, str], list[Network]]:
    """Texts by key, and all their networks."""
    known = [make_network(rng) for _ in range(12)]
    texts = {name: "\n".join(str(each) for each in rng.sample(known, rng.randint(0, 6))) for name in LISTS}
    texts["a.csv"] = "\n".join(f"{each},{rng.choice(COUNTRIES)}" for each in known)
    return texts, known


def make_admission(rng: random.Random) -> Document:
    made: Document = {}
    for verb, share in (("allow", 0.5), ("deny", 0.6)):
        if rng.random() < share:
            made[f"{verb}Lists"] = rng.sample(LISTS, rng.randint(0, 2))
        if rng.random() < share / 2:
            made[f"{verb}Countries"] = rng.sample(COUNTRIES, rng.randint(0, 1))
        if rng.random() < share / 3:
            made[f"{verb}Addresses"] = [str(make_network(rng))]
    return made | ({"shadow": True} if rng.random() < 0.2 else {})


def make_address(rng: random.Random, known: list[Network]) -> str:
    """At the edge of a network, or just beyond it; sometimes of IPv4 as IPv6 writes it."""
    network = rng.choice(known)
    edges = int(network.network_address), int(network.broadcast_address)
    number = min(max(rng.choice(edges) + rng.choice((-1, 0, 0, 1)), 0), (1 << network.max_prefixlen) - 1)
    if network.version == 6:
        return str(IPv6Address(number))
    return ("::ffff:" if rng.random() < 0.2 else "") + str(IPv4Address(number))


def differences(deployment: Deployment, targets: list[str], addresses: list[str]) -> list[str]:
    found = []
    for target in targets:
        for address in addresses:
            real = deployment.get(target, (("x-forwarded-for", address),)).status
            said = deployment.judge(target, address=address).decision.status
            if real != said:
                found.append(f"{target} {address}: Envoy {real}, decide {said}")
    return found


@pytest.mark.parametrize("seed", range(WORLDS))
def test_every_client_meets_the_same_verdict(seed: int) -> None:
    rng = random.Random(seed)
    texts, known = make_lists(rng)
    admissions = [make_admission(rng) for _ in range(8)]
    routes = [
        route(f"r{place}", rule(prefix(f"/{place}"), to="shop"), hosts=HOST, admission=admission)
        for place, admission in enumerate(admissions)
    ]
    declared = [{"name": name, "configMaps": [{"name": "lists", "key": name}]} for name in LISTS]
    countries = {"configMaps": [{"name": "lists", "key": "a.csv"}]}
    spec: Document = {"trustedHops": {"count": 1}, "addressLists": declared, "countries": countries}
    addresses = [make_address(rng, known) for _ in range(60)]
    with deploying(config_map("lists", texts), *routes, origins=("shop",), edge_spec=spec) as deployment:
        found = differences(deployment, [f"/{place}" for place in range(len(admissions))], addresses)
    assert found == [], f"{admissions} {texts}"
