"""The same for Gateway API: any way to a World ends in the same Snapshot, and nothing that its schema admits raises."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from random import Random

import fastforward_crds as crds
from fastforward_compiler import Compiler, ir, object_ref
from fastforward_compiler.translate.gatewayapi.section import ADDRESSES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support import worlds
from support.following import Follower, from_nothing, name_of
from support.gatewayapi import gateway, gateway_class, listener
from support.gatewayapi_worlds import GUARDING, ground, objects
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
    auths, limits = {auth.name for auth in snapshot.auths}, {limit.name for limit in snapshot.limits}
    places = {listener.scope for edge in snapshot.edges for listener in edge.listeners}
    for table in snapshot.tables:
        assert table.scope in {scope.name for scope in snapshot.scopes}
        assert table.scope.partition("|")[0] in places
        for entry in table.entries:
            assert set(entry.upstreams) <= upstreams
            assert entry.auth in auths | {""}
            assert set(entry.limits) <= limits
    for edge in snapshot.edges:
        assert set(edge.upstreams) <= upstreams
        ports = {(listener.port, listener.transport) for listener in edge.listeners}
        assert len(ports) == len({listener.name for listener in edge.listeners}) == len(edge.listeners)
    nouns = ("edges", "upstreams", "auths", "limits", "tables")
    there = {(noun[:-1], name_of(noun, v)) for noun in nouns for v in getattr(snapshot, noun)}
    for report in compiler.reports().values():
        assert {each for each in report.outputs if each[0] in {noun[:-1] for noun in nouns}} <= there


@SLOW
@given(worlds.worlds(of=objects(GUARDING), on=ground))
def test_what_an_auth_policy_is_aimed_at_has_it_or_is_closed(world: tuple[Object, ...]) -> None:
    compiler = Compiler()
    compiler.apply({object_ref(value): value for value in world})
    for table in compiler.snapshot().tables:
        gateway = table.scope.partition(ir.GATEWAY)[0]
        for entry in table.entries:
            wanted = {name for name, target in aims(world) if reaches(target, gateway, entry)}
            assert wanted <= set(entry.auth.split("+")) or isinstance(entry.destination, ir.Unavailable)


def aims(world: Iterable[Object]) -> Iterator[tuple[str, tuple[str, str, str | None]]]:
    """Names of AuthPolicies that give way to none, and what they aim at."""
    for value in world:
        if isinstance(value, crds.AuthPolicy):
            targets = [each for each in value.spec.targets if each.kind != "Gateway" or not value.spec.overridable]
        else:
            targets = list(value.targets) if isinstance(value, crds.Invalid) and value.kind == "AuthPolicy" else []
        ref = object_ref(value)
        for target in targets:
            yield f"{ref.namespace}/{ref.name}", (target.kind, f"{ref.namespace}/{target.name}", target.section_name)


def reaches(target: tuple[str, str, str | None], gateway: str, entry: ir.Entry) -> bool:
    """Whether a policy with this target is to hold for an entry, listeners left aside."""
    kind, name, section = target
    if kind == "Gateway":
        return name == gateway and section is None and entry.route != ""
    return entry.id.startswith(f"{kind.lower()}/") and name == entry.route and section in (None, entry.rule)


def test_a_gateway_whose_class_is_mended_serves_its_hosts() -> None:
    missing = {"group": "", "kind": "ConfigMap", "name": "none", "namespace": "a"}
    broken = gateway_class()
    broken["spec"]["parametersRef"] = missing
    compiler = Compiler()
    for step in ([broken, gateway(listener(80))], [gateway_class()]):
        values = [crds.parse_resource(document) for document in step]
        compiler.apply({object_ref(value): value for value in values})
    assert [scope.host for scope in compiler.snapshot().scopes] == ["*"]
