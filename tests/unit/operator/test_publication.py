"""Steps of the compiler and the emitters to Publications."""

from fastforward_compiler import ir
from fastforward_compiler.emit.decision import DecisionDelta
from fastforward_compiler.emit.envoy import EnvoyDelta, EnvoyResource
from fastforward_operator.publication import Emitted, Publications, encode
from fastforward_operator.xds.store import CLUSTER, ENDPOINT, SCOPE, SNAPSHOT

from fastforward.snapshot.v1 import snapshot_pb2

SCOPE_NAME = "default/public|shop.example.com"
TABLE = ("table", f"{SCOPE_NAME}#")
KEY = (SCOPE, f"{SCOPE_NAME}#")
PLAN = "plan/1"


def entry(destination: ir.Destination, *, hop: bool = False) -> ir.Entry:
    return ir.Entry(
        id="x", route="default/shop", rule="x", priority=0, match=ir.Match(), destination=destination, hop=hop
    )


def step(destination: ir.Destination, version: str = "1", *, hop: bool = False) -> Emitted:
    table = ir.Table(scope=SCOPE_NAME, tenant="", entries=(entry(destination, hop=hop),))
    return encode(
        ir.Delta(tables=ir.Changes(upserts=(table,))),
        EnvoyDelta(
            upserts=(EnvoyResource(type_url=SCOPE, name=KEY[1], version=version, body=b"x"),),
            outputs={TABLE: (KEY,)},
        ),
        DecisionDelta(
            upserts=(snapshot_pb2.Resource(name=PLAN, version=version),), removed=(), outputs={TABLE: (PLAN,)}
        ),
    )


SPLIT = ir.Split(shares=(ir.Share(upstream="default/b", weight=1), ir.Share(upstream="default/a", weight=1)))


def test_a_table_needs_the_clusters_that_it_names() -> None:
    put = Publications().build(step(SPLIT)).upserts[0]
    names = [(CLUSTER, "default/a"), (ENDPOINT, "default/a"), (CLUSTER, "default/b"), (ENDPOINT, "default/b")]
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
    assert publications.keys_of(TABLE) == (KEY,)
    publications.build(step(SPLIT, "2", hop=True))
    assert publications.keys_of(TABLE) == (KEY, (SNAPSHOT, PLAN))
    publications.build(step(SPLIT, "3"))
    assert publications.keys_of(TABLE) == (KEY,)


def test_an_output_that_is_gone_stands_for_nothing() -> None:
    publications = Publications()
    publications.build(step(SPLIT))
    gone = encode(
        ir.Delta(tables=ir.Changes(removed=(TABLE[1],))),
        EnvoyDelta(removed=(KEY,)),
        DecisionDelta(upserts=(), removed=(PLAN,), outputs={}),
    )
    publication = publications.build(gone)
    assert publication.removed == (KEY, (SNAPSHOT, PLAN))
    assert publications.keys_of(TABLE) == ()
    assert KEY not in publications.outputs_of
    assert len(publications.build(step(SPLIT)).upserts) == 2


def test_pruning_removes_all_but_what_is_kept() -> None:
    publications = Publications()
    publications.build(step(SPLIT))
    assert publications.prune([KEY]).removed == ((SNAPSHOT, PLAN),)
    assert publications.prune([KEY]).removed == ()
