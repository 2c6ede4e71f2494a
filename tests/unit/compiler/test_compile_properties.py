"""What holds for every World: any way to it ends in the same Snapshot, and nothing the schema admits raises."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import fastforward_crds as crds
import pytest
from fastforward_compiler import Compiler, compile_world, ir, object_ref
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support import documents, worlds
from support.credentials import jwks
from support.following import NOUNS, Follower, from_nothing, name_of
from support.worlds import Batch, Object

FETCHED = {worlds.URL: jwks().encode()}
SLOW = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])


@SLOW
@given(worlds.histories(), st.randoms(use_true_random=False))
def test_any_way_to_the_same_objects_ends_in_the_same_snapshot(history: list[Batch], random: Random) -> None:
    compiler, follower = Compiler(), Follower()
    when = random.randint(0, len(history))
    for number, batch in enumerate(history):
        shuffled = list(batch.items())
        random.shuffle(shuffled)
        follower.follow(compiler.apply(dict(shuffled), FETCHED if number == when else None))
    expected = from_nothing(history)
    expected.apply({}, FETCHED if when < len(history) else None)
    assert compiler.snapshot() == expected.snapshot()
    assert compiler.reports() == expected.reports()
    assert follower.snapshot() == compiler.snapshot()
    assert follower.reports == compiler.reports()


@SLOW
@given(worlds.worlds())
def test_deleting_everything_leaves_nothing(world: tuple[Object, ...]) -> None:
    compiler = Compiler()
    compiler.apply({object_ref(value): value for value in world})
    compiler.apply(dict.fromkeys(map(object_ref, world)))
    assert compiler.snapshot() == ir.Snapshot()
    assert compiler.reports() == {}
    assert compiler._cells._cells == {}


@SLOW
@given(worlds.worlds())
def test_applying_the_same_objects_again_changes_nothing(world: tuple[Object, ...]) -> None:
    compiler = Compiler()
    changes = {object_ref(value): value for value in world}
    due = compiler.apply(changes).due
    assert compiler.apply(changes) == ir.Delta(due=due)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
@pytest.mark.parametrize("kind", sorted(documents.KINDS))
def test_nothing_that_a_schema_admits_raises(kind: str, data: st.DataObject) -> None:
    world = data.draw(worlds.worlds(most=6))
    document = data.draw(documents.documents(kind))
    compile_world([*world, crds.parse_resource(document)])


@SLOW
@given(worlds.worlds())
def test_every_name_in_a_snapshot_is_there(world: tuple[Object, ...]) -> None:
    snapshot, _ = compile_world(world)
    auths, limits = {auth.name for auth in snapshot.auths}, {limit.name for limit in snapshot.limits}
    scopes, upstreams = {scope.name for scope in snapshot.scopes}, {upstream.name for upstream in snapshot.upstreams}
    edges = {edge.name for edge in snapshot.edges}
    for table in snapshot.tables:
        assert table.scope in scopes
        assert len({entry.id for entry in table.entries}) == len(table.entries) > 0
        for entry in table.entries:
            assert entry.auth in auths | {""}
            assert set(entry.limits) <= limits
            if isinstance(entry.destination, ir.Split):
                assert {share.upstream for share in entry.destination.shares} <= upstreams | {""}
    assert {scope.edge for scope in snapshot.scopes} <= edges
    tables = {table.name for table in snapshot.tables}
    assert {f"{scope.name}#{tenant}" for scope in snapshot.scopes for tenant in scope.tenant_tables} <= tables
    assert {auth for scope in snapshot.scopes for auth in scope.auths} <= auths


@SLOW
@given(worlds.worlds())
def test_entries_lie_in_order_of_precedence(world: tuple[Object, ...]) -> None:
    snapshot, _ = compile_world(world)
    ranks = {ir.PathType.EXACT: 0, ir.PathType.REGEX: 1, ir.PathType.PREFIX: 2}
    for table in snapshot.tables:
        places = [(-e.priority, ranks[e.match.path_type], -len(e.match.path)) for e in table.entries]
        assert places == sorted(places)
        assert len({replace(e.match, path=e.match.path + str(e.priority)) for e in table.entries}) == len(table.entries)


@SLOW
@given(worlds.worlds())
def test_reports_name_outputs_that_are_there(world: tuple[Object, ...]) -> None:
    compiler = Compiler()
    compiler.apply({object_ref(value): value for value in world})
    snapshot = compiler.snapshot()
    there = {(noun[:-1], name_of(noun, value)) for noun in NOUNS for value in getattr(snapshot, noun)}
    for report in compiler.reports().values():
        assert set(report.outputs) <= there
