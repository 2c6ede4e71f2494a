"""How endpoints are chosen: each policy by itself, over members that are busy, out or of different weight."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from fastforward_entrypoint.messages.choice import key_of, make_choice
from hypothesis import given
from hypothesis import strategies as st

from fastforward.message.v1 import envelope_pb2

POLICIES = ("round robin", "least request", "random", "ring hash")


@dataclass(eq=False)
class Member:
    address: str
    weight: int = 1
    active: int = 0


def members(*weights: int) -> list[Member]:
    return [Member(f"192.0.2.{number}:9", weight) for number, weight in enumerate(weights, 1)]


def picked(
    policy: str, those: list[Member], times: int, usable: Callable[[Member], bool] = lambda _: True, key: str = ""
) -> Counter[str]:
    choice = make_choice(policy, those, random.Random(7).random)
    found = (choice.pick(usable, key) for _ in range(times))
    return Counter(each.address if each is not None else "" for each in found)


def test_round_robin_takes_one_after_the_other_by_weight() -> None:
    assert set(picked("round robin", members(1, 1, 1), 300).values()) == {100}
    assert sorted(picked("round robin", members(1, 3), 400).values()) == pytest.approx([100, 300], abs=1)


def test_least_request_keeps_away_from_who_is_busy() -> None:
    those = members(1, 1, 1)
    those[0].active = 50
    assert picked("least request", those, 3000)[those[0].address] < 600
    heavy = members(3, 1)
    assert sorted(picked("least request", heavy, 400).values()) == pytest.approx([100, 300], abs=5)
    heavy[0].active = 8
    counted = picked("least request", heavy, 400)
    assert counted[heavy[0].address] == pytest.approx(100, abs=5)


def test_random_knows_no_weights() -> None:
    assert min(picked("random", members(128, 1), 1000).values()) > 400


def test_a_key_goes_to_one_and_keys_to_all_by_weight() -> None:
    those = members(1, 3)
    choice = make_choice("ring hash", those)
    keys = [f"key {number}" for number in range(2000)]
    chosen = [choice.pick(lambda _: True, key) for key in keys]
    assert [choice.pick(lambda _: True, key) for key in keys] == chosen
    assert chosen.count(those[0]) == pytest.approx(500, abs=150)


def test_few_keys_move_when_a_member_goes() -> None:
    those = members(1, 1, 1, 1)
    before, after = make_choice("ring hash", those), make_choice("ring hash", those[:-1])
    keys = [f"key {number}" for number in range(1000)]
    stayed = [key for key in keys if before.pick(lambda _: True, key) is not those[-1]]
    assert len(stayed) > 600
    moved = [key for key in stayed if before.pick(lambda _: True, key) is not after.pick(lambda _: True, key)]
    assert len(moved) < 100


def test_a_key_whose_member_is_out_goes_to_the_same_other_one() -> None:
    those = members(1, 1, 1)
    choice = make_choice("ring hash", those)
    out = choice.pick(lambda _: True, "k")
    others = {choice.pick(lambda each: each is not out, "k") for _ in range(20)}
    assert len(others) == 1
    assert out not in others


@given(
    st.sampled_from(POLICIES),
    st.lists(st.tuples(st.integers(1, 128), st.integers(0, 20), st.booleans()), max_size=12),
    st.sampled_from(["", "k"]),
)
def test_whoever_may_be_asked_is_found_and_nobody_else(
    policy: str, given: list[tuple[int, int, bool]], key: str
) -> None:
    those = [Member(f"192.0.2.{place}:9", weight, active) for place, (weight, active, _) in enumerate(given)]
    well = {each for each, (_, _, usable) in zip(those, given, strict=True) if usable}
    choice = make_choice(policy, those)
    for _ in range(5):
        found = choice.pick(lambda each: each in well, key)
        assert found in well if well else found is None


def test_what_is_hashed_of_a_message() -> None:
    field = envelope_pb2.Field(name="x-cart", value="7")
    source = envelope_pb2.Source(address="203.0.113.7", fields=[field])
    assert [key_of(source, on) for on in ("header:x-cart", "header:x-none", "address", "")] == [
        "7",
        "",
        "203.0.113.7",
        "",
    ]
