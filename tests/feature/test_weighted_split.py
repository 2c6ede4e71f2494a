"""Requests are split over Upstreams in proportion to their weights."""

from collections import Counter

import pytest

from support.gateway import Gateway
from support.resources import Document, route, rule

REQUESTS = 600


def counted(gateway: Gateway, requests: int = REQUESTS) -> Counter[str | None]:
    with gateway.connect() as connection:
        return Counter(connection.request("GET", "/", host="example.com").origin for _ in range(requests))


def split(**weights: int) -> Document:
    return {"upstreams": [{"name": name, "weight": weight} for name, weight in weights.items()]}


@pytest.mark.parametrize(
    "weights", [{"a": 1, "b": 1}, {"a": 9, "b": 1}, {"a": 200, "b": 300, "c": 500}], ids=["half", "canary", "three"]
)
def test_each_upstream_gets_its_share(gateway: Gateway, weights: dict[str, int]) -> None:
    for name in weights:
        gateway.upstream(name)
    gateway.apply(route("split", rule(**split(**weights))))
    found = counted(gateway)
    for name, weight in weights.items():
        share = weight / sum(weights.values())
        # Five standard deviations: chance exceeds that once in 1.7 million runs.
        deviation = 5 * (REQUESTS * share * (1 - share)) ** 0.5
        assert abs(found[name] - REQUESTS * share) < deviation, found


def test_a_weight_of_nought_takes_nothing(gateway: Gateway) -> None:
    gateway.upstream("a")
    gateway.upstream("b")
    gateway.apply(route("split", rule(**split(a=1, b=0))))
    assert counted(gateway, 100) == {"a": 100}


def test_changed_weights_move_the_shares(gateway: Gateway) -> None:
    gateway.upstream("a")
    gateway.upstream("b")
    gateway.apply(route("split", rule(**split(a=1, b=0))))
    assert counted(gateway, 50) == {"a": 50}
    gateway.apply(route("split", rule(**split(a=0, b=1))))
    assert counted(gateway, 50) == {"b": 50}


def test_the_share_of_an_upstream_that_is_not_there_is_answered_500(gateway: Gateway) -> None:
    gateway.upstream("a")
    gateway.apply(route("split", rule(**split(a=1, missing=1))), expect={("Route", "split"): "UpstreamNotFound"})
    with gateway.connect() as connection:
        found = Counter(connection.request("GET", "/", host="example.com").status for _ in range(200))
    assert set(found) == {200, 500}
    assert 50 < found[500] < 150
