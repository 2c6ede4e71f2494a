"""The same for Gateway API: any way to a World ends in the same Snapshot, and nothing that its schema admits raises."""

from __future__ import annotations

from random import Random

from fastforward_compiler import Compiler, ir, object_ref
from fastforward_compiler.translate.gatewayapi.section import ADDRESSES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support import worlds
from support.following import Follower, from_nothing, name_of
from support.gatewayapi_worlds import ground, objects
from support.worlds import Batch, Object

SLOW = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
GIVEN = {ADDRESSES: b"{}", f"{ADDRESSES}a/x": b'{"addresses": ["192.0.2.1"]}'}
WORLDS = worlds.worlds(of=objects(), on=ground)


@SLOW
@given(worlds.histories(of=objects(), on=ground), st.randoms(use_true_random=False))
def test_any_way_to_the_same_objects_ends_in_the_same_snapshot(history: list[Batch], random: Random) -> None:
    compiler, follower = Compiler(), Follower()
    when = random.randint(0, len(history))
    for number, batch in enumerate(history):
        shuffled = list(batch.items())
        random.shuffle(shuffled)
        follower.follow(compiler.apply(dict(shuffled), GIVEN if number == when else None))
    expected = from_nothing(history)
    expected.apply({}, GIVEN if when < len(history) else None)
    assert compiler.snapshot() == expected.snapshot()
    assert compiler.reports() == expected.reports()
    assert follower.snapshot() == compiler.snapshot()
    assert follower.reports == compiler.reports()


@SLOW
@given(WORLDS)
def test_deleting_everything_leaves_nothing(world: tuple[Object, ...]) -> None:
    compiler = Compiler()
    compiler.apply({object_ref(value): value for value in world})
    compiler.apply(dict.fromkeys(map(object_ref, world)))
    assert compiler.snapshot() == ir.Snapshot()
    assert compiler.reports() == {}
    assert compiler._cells._cells == {}


@SLOW
@given(WORLDS)
def test_every_name_in_a_snapshot_is_there(world: tuple[Object, ...]) -> None:
    compiler = Compiler()
    compiler.apply({object_ref(value): value for value in world})
    snapshot = compiler.snapshot()
    upstreams = {upstream.name for upstream in snapshot.upstreams}
    places = {listener.scope for edge in snapshot.edges for listener in edge.listeners}
    for table in snapshot.tables:
        assert table.scope in {scope.name for scope in snapshot.scopes}
        assert table.scope.partition("|")[0] in places
        for entry in table.entries:
            assert set(entry.upstreams) <= upstreams
    for edge in snapshot.edges:
        assert set(edge.upstreams) <= upstreams
        ports = {(listener.port, listener.transport) for listener in edge.listeners}
        assert len(ports) == len({listener.name for listener in edge.listeners}) == len(edge.listeners)
    there = {(noun[:-1], name_of(noun, v)) for noun in ("edges", "upstreams") for v in getattr(snapshot, noun)}
    for report in compiler.reports().values():
        assert {each for each in report.outputs if each[0] in ("edge", "upstream")} <= there
