"""A status board with one table and one Upstream, and nodes that answer as a test says.

Called by the unit tests of statuses.
"""

from datetime import UTC, datetime

from fastforward_compiler import ir
from fastforward_compiler.emit.decision import DecisionDelta
from fastforward_compiler.emit.envoy import EnvoyDelta, EnvoyResource
from fastforward_compiler.problem import ObjectRef
from fastforward_operator.objectstatus import Condition
from fastforward_operator.providers import Source
from fastforward_operator.publication import FleetStep, Publications, encode
from fastforward_operator.status import StatusBoard
from fastforward_operator.xds.ledger import KeyState, LedgerUpdate
from fastforward_operator.xds.store import CLUSTER, SCOPE, SHARED, SNAPSHOT, Key

from fastforward.snapshot.v1 import snapshot_pb2

SHOP = ObjectRef(kind="Route", namespace="default", name="shop")
ACME = ObjectRef(kind="Tenant", namespace="default", name="acme")
PUBLIC = ObjectRef(kind="Edge", namespace="default", name="public")
NEIGHBOUR = ObjectRef(kind="Route", namespace="default", name="neighbour")
TABLE = ("table", "default/public|shop.example.com#")
UPSTREAM = ("upstream", "default/cart")
NOTHING = DecisionDelta(upserts=(), removed=(), outputs={})


def entry(*, hop: bool) -> ir.Entry:
    return ir.Entry(
        id="x",
        route="default/shop",
        rule="x",
        priority=0,
        match=ir.Match(),
        destination=ir.Split(shares=(ir.Share(upstream="default/cart", weight=1),)),
        hop=hop,
    )


class Scene:
    """A board, and publications of one table and one upstream."""

    def __init__(self, settle_s: float = 0.0) -> None:
        self.publications = Publications()
        self.settled_at: list[float] = []
        self.board = StatusBoard(
            self.publications,
            settle_s,
            lambda: datetime(2026, 1, 2, tzinfo=UTC),
            on_settled=self.settled_at.append,
        )

    def publish(self, version: str, *, generation: int = 1, hop: bool = False) -> None:
        table = ir.Table(scope="default/public|shop.example.com", tenant="", entries=(entry(hop=hop),))
        report = ir.Report(ref=SHOP, generation=generation, outputs=frozenset({TABLE, UPSTREAM}))
        delta = ir.Delta(tables=ir.Changes(upserts=(table,)), reports={SHOP: report})
        envoy = EnvoyDelta(
            upserts=(
                EnvoyResource(type_url=SCOPE, name=TABLE[1], version=version, body=b"x"),
                EnvoyResource(type_url=CLUSTER, name="default/cart", version="1", body=b"x"),
            ),
            outputs={TABLE: ((SCOPE, TABLE[1]),), UPSTREAM: ((CLUSTER, "default/cart"),)},
        )
        decision = DecisionDelta(
            upserts=(snapshot_pb2.Resource(name=f"table/{TABLE[1]}", version=version),),
            removed=(),
            outputs={TABLE: (f"table/{TABLE[1]}",)},
        )
        step = self.publications.build(encode(delta, {SHARED: FleetStep(delta=delta, envoy=envoy)}, decision))
        keys = [put.key for put in step.upserts]
        self.board.observe_reports(delta.reports, {SHOP: Source(path="a.yaml", line=1)}, keys, 5.0)

    def join_table(self) -> None:
        """Another Route that lies in the same table."""
        shared = ir.Report(ref=NEIGHBOUR, generation=1, outputs=frozenset({TABLE}))
        self.board.observe_reports({NEIGHBOUR: shared}, {}, ())

    def word(self, ref: ObjectRef) -> str:
        return self.board.statuses[ref].conditions[-1].status

    def tell(self, *states: tuple[Key, KeyState], envoys: int = 1, decisions: int = 0) -> None:
        self.board.observe_ledger(
            LedgerUpdate(keys=dict(states), envoys={SHARED: envoys} if envoys else {}, decisions=decisions)
        )

    def settle(self, *keys: Key, envoys: int = 1, decisions: int = 0) -> None:
        states = ((key, KeyState(revision=self.publications.revisions[key])) for key in keys)
        self.tell(*states, envoys=envoys, decisions=decisions)

    @property
    def programmed(self) -> Condition:
        return self.board.statuses[SHOP].conditions[-1]


SCOPE_KEY = Key(SCOPE, TABLE[1])
CLUSTER_KEY = Key(CLUSTER, "default/cart")
DECISION_KEY = Key(SNAPSHOT, f"table/{TABLE[1]}")
