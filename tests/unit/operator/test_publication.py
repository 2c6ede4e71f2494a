"""Steps of the compiler and the emitters to Publications."""

from dataclasses import replace

from fastforward_compiler import ir
from fastforward_compiler.emit.decision import DecisionDelta
from fastforward_compiler.emit.envoy import EnvoyDelta, EnvoyResource
from fastforward_compiler.problem import ObjectRef
from fastforward_operator.publication import Emitted, FleetStep, Publications, encode
from fastforward_operator.xds.store import CLUSTER, ENDPOINT, SCOPE, SHARED, SNAPSHOT, Key

from fastforward.snapshot.v1 import snapshot_pb2

SCOPE_NAME = "default/public|shop.example.com"
TABLE = ("table", f"{SCOPE_NAME}#")
SHOP = ObjectRef(kind="Route", namespace="default", name="shop")
KEY = Key(SCOPE, f"{SCOPE_NAME}#")
PLAN = "plan/1"


def entry(destination: ir.Destination, *, hop: bool = False) -> ir.Entry:
    return ir.Entry(
        id="x", route="default/shop", rule="x", priority=0, match=ir.Match(), destination=destination, hop=hop
    )


def step(destination: ir.Destination, version: str = "1", *, hop: bool = False) -> Emitted:
    table = ir.Table(scope=SCOPE_NAME, tenant="", entries=(entry(destination, hop=hop),))
    delta = ir.Delta(tables=ir.Changes(upserts=(table,)))
    envoy = EnvoyDelta(
        upserts=(EnvoyResource(type_url=SCOPE, name=KEY.name, version=version, body=b"x"),),
        outputs={TABLE: ((SCOPE, KEY.name),)},
    )
    return encode(
        delta,
        {SHARED: FleetStep(delta=delta, envoy=envoy)},
        DecisionDelta(
            upserts=(snapshot_pb2.Resource(name=PLAN, version=version),), removed=(), outputs={TABLE: (PLAN,)}
        ),
    )


SPLIT = ir.Split(shares=(ir.Share(upstream="default/b", weight=1), ir.Share(upstream="default/a", weight=1)))


def test_a_table_needs_the_clusters_that_it_names() -> None:
    put = Publications().build(step(SPLIT)).upserts[0]
    names = [
        (CLUSTER, "default/a"),
        (ENDPOINT, "default/a"),
        (CLUSTER, "default/b"),
        (ENDPOINT, "default/b"),
    ]
    assert put.needs == tuple(names)
    assert not put.hop


def test_a_table_that_answers_by_itself_needs_nothing() -> None:
    assert Publications().build(step(ir.Respond(status=200))).upserts[0].needs == ()


def test_a_share_without_upstream_needs_nothing() -> None:
    missing = ir.Split(shares=(ir.Share(upstream="", weight=1),))
    assert Publications().build(step(missing)).upserts[0].needs == ()


def test_a_table_whose_cluster_the_decision_names_needs_all() -> None:
    shards = ir.ShardDispatch(namespace="default", purpose="orders", key="tenant")
    put = Publications().build(step(shards, hop=True)).upserts[0]
    assert put.needs is None
    assert put.hop


def test_a_version_that_stays_is_not_published_again() -> None:
    publications = Publications()
    publications.build(step(SPLIT))
    again = publications.build(step(SPLIT))
    assert again.revision == 2
    assert again.upserts == ()
    assert publications.revisions[KEY] == 1
    assert len(publications.build(step(SPLIT, "2")).upserts) == 2
    assert publications.revisions[KEY] == 3


def test_only_a_table_with_a_hop_stands_for_its_plans_as_well() -> None:
    publications = Publications()
    publications.build(step(SPLIT))
    assert publications.keys_of(TABLE, SHOP) == (KEY,)
    publications.build(step(SPLIT, "2", hop=True))
    assert publications.keys_of(TABLE, SHOP) == (KEY, Key(SNAPSHOT, PLAN))
    # Nor for those of other Routes; a policy's are anybody's.
    assert publications.keys_of(TABLE, replace(SHOP, name="neighbour")) == (KEY,)
    assert publications.keys_of(TABLE, replace(SHOP, kind="AuthPolicy")) == (KEY, Key(SNAPSHOT, PLAN))
    publications.build(step(SPLIT, "3"))
    assert publications.keys_of(TABLE, SHOP) == (KEY,)


def test_an_output_that_is_gone_stands_for_nothing() -> None:
    publications = Publications()
    publications.build(step(SPLIT))
    delta = ir.Delta(tables=ir.Changes(removed=(TABLE[1],)))
    gone = encode(
        delta,
        {SHARED: FleetStep(delta=delta, envoy=EnvoyDelta(removed=((SCOPE, KEY.name),)))},
        DecisionDelta(upserts=(), removed=(PLAN,), outputs={}),
    )
    publication = publications.build(gone)
    assert publication.removed == (KEY, Key(SNAPSHOT, PLAN))
    assert publications.keys_of(TABLE, SHOP) == ()
    assert KEY not in publications.outputs_of
    assert len(publications.build(step(SPLIT)).upserts) == 2


def test_pruning_removes_all_but_what_is_kept() -> None:
    publications = Publications()
    publications.build(step(SPLIT))
    assert publications.prune([KEY]).removed == (Key(SNAPSHOT, PLAN),)
    assert publications.prune([KEY]).removed == ()


CLUSTERS = tuple(EnvoyDelta(upserts=(EnvoyResource(type_url=CLUSTER, name="a", version=v, body=b"x"),)) for v in "12")
UPSTREAM = ("upstream", "default/a")
NOTHING = DecisionDelta(upserts=(), removed=(), outputs={})


def two_fleets() -> Publications:
    """Both have a cluster of the same name, and not the same one."""
    publications = Publications()
    envoys = [replace(each, outputs={UPSTREAM: ((CLUSTER, "a"),)}) for each in CLUSTERS]
    fleets = {f"default/{i}": FleetStep(delta=ir.Delta(), envoy=envoy) for i, envoy in enumerate(envoys)}
    step = publications.build(encode(ir.Delta(), fleets, NOTHING))
    assert [put.version for put in step.upserts] == ["1", "2"]
    return publications


def test_what_was_taken_away_and_is_there_again_stands_for_its_output_again() -> None:
    """An Upstream that decision services ask is one that they need not know, and then again one that they do."""
    publications = Publications()
    guard, key = ("upstream", "default/guard"), Key(SNAPSHOT, "upstream/default/guard")

    def told(version: str) -> Emitted:
        known = snapshot_pb2.Resource(name=key.name, version=version)
        return encode(ir.Delta(), {}, DecisionDelta(upserts=(known,), removed=(), outputs={guard: (key.name,)}))

    publications.build(told("1"))
    publications.build(encode(ir.Delta(), {}, DecisionDelta(upserts=(), removed=(key.name,), outputs={})))
    assert publications.keys_of(guard, SHOP) == ()
    publications.build(told("2"))
    assert publications.keys_of(guard, SHOP) == (key,)
    assert list(publications.outputs_of.get(key)) == [guard]


def test_an_output_stands_for_what_each_fleet_has_of_it() -> None:
    publications = two_fleets()
    assert publications.keys_of(UPSTREAM, SHOP) == (Key(CLUSTER, "a", "default/0"), Key(CLUSTER, "a", "default/1"))
    lost = ir.Delta(upstreams=ir.Changes(removed=("default/a",)))
    step = FleetStep(delta=lost, envoy=EnvoyDelta(removed=((CLUSTER, "a"),)))
    gone = publications.build(encode(ir.Delta(), {"default/0": step}, NOTHING))
    assert gone.removed == (Key(CLUSTER, "a", "default/0"),)
    assert publications.keys_of(UPSTREAM, SHOP) == (Key(CLUSTER, "a", "default/1"),)


def test_a_fleet_that_ends_loses_all_that_it_was_told() -> None:
    publications = two_fleets()
    ended = FleetStep(delta=ir.Delta(), envoy=EnvoyDelta(), ends=True)
    gone = publications.build(encode(ir.Delta(), {"default/1": ended}, NOTHING))
    assert gone.removed == (Key(CLUSTER, "a", "default/1"),)
    assert publications.keys_of(UPSTREAM, SHOP) == (Key(CLUSTER, "a", "default/0"),)
