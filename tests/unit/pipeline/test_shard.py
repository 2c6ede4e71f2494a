"""Which shard a key belongs to: fair by weight, and nothing moves that need not."""

from collections import Counter

import pytest
from fastforward_pipeline.compiled.shard import Shard, ShardSet, compile_shards
from hypothesis import given, settings
from hypothesis import strategies as st

from support.decision_snapshots import pb, shard, shards

KEYS = [f"key-{number}" for number in range(2000)]
NAMES = st.text("abcdefgh", min_size=1, max_size=3)
WEIGHTS = st.dictionaries(NAMES, st.integers(1, 5), min_size=1, max_size=6)


def make(weights: dict[str, int]) -> ShardSet:
    return ShardSet(
        shards={name: Shard(name=name, region="", hashed=float(w), upstreams={}) for name, w in weights.items()}
    )


def places(found: ShardSet) -> list[str]:
    chosen = [found.of(key) for key in KEYS]
    return ["" if one is None else one.name for one in chosen]


@settings(max_examples=25, deadline=None)
@given(WEIGHTS, NAMES, st.integers(1, 5))
def test_a_shard_that_comes_takes_keys_and_nothing_else_moves(weights: dict[str, int], new: str, weight: int) -> None:
    before, after = make(weights), make({**weights, new: max(weight, weights.get(new, 0))})
    moved = [(old, now) for old, now in zip(places(before), places(after), strict=True) if old != now]
    assert all(now == new for _, now in moved)


@settings(max_examples=25, deadline=None)
@given(WEIGHTS, st.data())
def test_a_shard_that_goes_gives_up_its_own_keys_alone(weights: dict[str, int], data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from(sorted(weights)))
    before, after = make(weights), make({name: w for name, w in weights.items() if name != gone})
    moved = [old for old, now in zip(places(before), places(after), strict=True) if old != now]
    assert all(old == gone for old in moved)


def test_keys_are_shared_in_proportion_to_the_weights() -> None:
    counted = Counter(places(make({"a": 1, "b": 2, "c": 1})))
    assert counted["b"] / len(KEYS) == pytest.approx(0.5, abs=0.05)
    assert counted["a"] / len(KEYS) == pytest.approx(0.25, abs=0.05)


def test_the_order_in_which_shards_are_named_does_not_matter() -> None:
    one, other = make({"a": 1, "b": 2}), make({"b": 2, "a": 1})
    assert places(one) == places(other)


def test_keys_of_a_region_stay_in_it_while_a_shard_there_takes_keys() -> None:
    wire = shards(near=shard(region="eu"), far=shard(region="us"), anywhere=shard(), old=shard("DRAINING", region="ap"))
    found = compile_shards(wire.shards)

    def seen(region: str) -> set[str]:
        return {one.name for key in KEYS if (one := found.of(key, region)) is not None}

    assert seen("eu") == {"near"}
    assert seen("us") == {"far"}
    assert seen("ap") == seen("") == {"near", "far", "anywhere"}


def test_only_active_shards_with_weight_take_hashed_keys() -> None:
    wire = shards(
        live=shard(weight=1),
        idle=shard(weight=0),
        canary=shard("CANARY", weight=9),
        leaving=shard("DRAINING", weight=9),
    )
    found = compile_shards(wire.shards)
    assert set(places(found)) == {"live"}
    assert set(found.shards) == {"live", "idle", "canary", "leaving"}
    assert compile_shards(pb.ShardSet()).of("key") is None
