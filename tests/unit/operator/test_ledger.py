"""Who counts, who keeps a resource waiting, who refused it."""

import pytest
from fastforward_operator.xds.ledger import Ledger, LedgerUpdate
from fastforward_operator.xds.session import DecisionSession
from fastforward_operator.xds.store import CLUSTER, LISTENER, SCOPE, SHARED, SNAPSHOT, Key, Publication, Put, Store

from fastforward.snapshot.v1 import snapshot_pb2
from support.xds import Node, Response, publication, put


class Fleet:
    """Nodes around one ledger."""

    def __init__(self) -> None:
        self.store = Store()
        self.ledger = Ledger(self.store)
        self.nodes: dict[int, Node] = {}

    def join(self, sid: int, *, held: dict[str, dict[str, str]] | None = None) -> Node:
        node = self.nodes[sid] = Node(self.store, sid=sid)
        self.ledger.add(node.session)
        for type_url in (CLUSTER, LISTENER, SCOPE):
            receipt = node.subscribe(type_url, held=(held or {}).get(type_url))
            self.ledger.observe(node.session, receipt)
        return node

    def leave(self, node: Node) -> None:
        del self.nodes[node.sid]
        self.ledger.remove(node.session)

    def publish(self, step: Publication) -> None:
        changed = self.store.put(step.upserts, step.revision)
        for node in self.nodes.values():
            node.session.publish(changed, step.revision, node.now)
        self.ledger.publish(changed)

    def ack(self, node: Node, response: Response) -> None:
        self.ledger.observe(node.session, node.ack(response))

    def nack(self, node: Node, response: Response, message: str) -> None:
        self.ledger.observe(node.session, node.nack(response, message))

    def settle(self, node: Node) -> None:
        while (response := node.next()) is not None:
            self.ack(node, response)

    def update(self) -> LedgerUpdate:
        found = self.ledger.take_update()
        assert found is not None
        return found


@pytest.fixture
def fleet() -> Fleet:
    made = Fleet()
    made.publish(publication(1, put(Key(LISTENER, "l"), "1"), put(Key(SCOPE, "s"), "1"), put(Key(CLUSTER, "c"), "1")))
    return made


def test_a_node_counts_when_it_was_told_everything(fleet: Fleet) -> None:
    node = fleet.join(1)
    assert fleet.update().envoys == {}
    for type_url in (CLUSTER, LISTENER, SCOPE):
        assert not fleet.ledger.counted
        response = node.expect()
        assert response.type_url == type_url
        fleet.ack(node, response)
    assert fleet.update().envoys == {SHARED: 1}
    assert fleet.ledger.state(Key(SCOPE, "s")).settled


def test_a_node_counts_although_a_cluster_warms_and_that_cluster_waits_for_it(fleet: Fleet) -> None:
    node = fleet.join(1)
    while (response := node.next()) is not None:
        if response.type_url == CLUSTER:
            node.now += 1
        else:
            fleet.ack(node, response)
    assert fleet.update().envoys == {SHARED: 1}
    assert fleet.ledger.state(Key(CLUSTER, "c")).waiting == ("envoy-1",)


def test_a_change_waits_for_every_node_that_counts(fleet: Fleet) -> None:
    one, two = fleet.join(1), fleet.join(2)
    fleet.settle(one)
    fleet.settle(two)
    fleet.publish(publication(2, put(Key(SCOPE, "s"), "2")))
    assert fleet.ledger.state(Key(SCOPE, "s")).waiting == ("envoy-1", "envoy-2")
    fleet.settle(one)
    assert fleet.ledger.state(Key(SCOPE, "s")).waiting == ("envoy-2",)
    fleet.settle(two)
    state = fleet.update().keys[Key(SCOPE, "s")]
    assert state.settled
    assert state.revision == 2


def test_an_acknowledgement_of_an_older_version_does_not_settle(fleet: Fleet) -> None:
    node = fleet.join(1)
    fleet.settle(node)
    fleet.publish(publication(2, put(Key(SCOPE, "s"), "2")))
    older = node.expect()
    fleet.publish(publication(3, put(Key(SCOPE, "s"), "3")))
    fleet.ack(node, older)
    assert fleet.ledger.state(Key(SCOPE, "s")).waiting == ("envoy-1",)


def test_a_refusal_is_kept_in_the_nodes_own_words_until_the_next_version(fleet: Fleet) -> None:
    node = fleet.join(1)
    fleet.settle(node)
    fleet.publish(publication(2, put(Key(SCOPE, "s"), "2")))
    fleet.nack(node, node.expect(), "no key")
    state = fleet.update().keys[Key(SCOPE, "s")]
    assert state.refused == (("envoy-1", "no key"),)
    assert state.waiting == ()
    assert not fleet.ledger.routes_settled(2)
    fleet.publish(publication(3, put(Key(SCOPE, "s"), "3")))
    fleet.settle(node)
    assert fleet.ledger.state(Key(SCOPE, "s")).settled


def test_nobody_waits_for_a_node_that_went(fleet: Fleet) -> None:
    one, two = fleet.join(1), fleet.join(2)
    fleet.settle(one)
    fleet.settle(two)
    fleet.publish(publication(2, put(Key(SCOPE, "s"), "2")))
    fleet.settle(one)
    fleet.leave(two)
    update = fleet.update()
    assert update.envoys == {SHARED: 1}
    assert update.keys[Key(SCOPE, "s")].settled


def test_a_new_node_does_not_unsettle_what_the_others_have(fleet: Fleet) -> None:
    one = fleet.join(1)
    fleet.settle(one)
    fleet.update()
    fleet.join(2)
    assert fleet.ledger.take_update() is None
    assert fleet.ledger.state(Key(SCOPE, "s")).settled


def test_a_node_that_comes_back_with_an_older_version_unsettles_that_one_only(fleet: Fleet) -> None:
    one = fleet.join(1)
    fleet.settle(one)
    fleet.publish(publication(2, put(Key(SCOPE, "s"), "2"), put(Key(SCOPE, "t"), "1")))
    fleet.settle(one)
    fleet.update()
    held = {CLUSTER: {"c": "1"}, LISTENER: {"l": "1"}, SCOPE: {"s": "1", "t": "1"}}
    two = fleet.join(2, held=held)
    update = fleet.update()
    assert update.envoys == {SHARED: 2}
    assert set(update.keys) == {Key(SCOPE, "s")}
    assert update.keys[Key(SCOPE, "s")].waiting == ("envoy-2",)
    fleet.settle(two)
    assert fleet.update().keys[Key(SCOPE, "s")].settled
    assert two.next() is None


def test_a_change_while_a_node_comes_back_waits_for_it(fleet: Fleet) -> None:
    one = fleet.join(1)
    fleet.settle(one)
    held = {CLUSTER: {"c": "1"}, LISTENER: {"l": "1"}, SCOPE: {"s": "1"}}
    two = fleet.join(2, held=held)
    fleet.publish(publication(2, put(Key(SCOPE, "s"), "2")))
    fleet.settle(one)
    assert fleet.ledger.state(Key(SCOPE, "s")).waiting == ("envoy-2",)
    fleet.settle(two)
    assert fleet.ledger.state(Key(SCOPE, "s")).settled


def test_decision_services_answer_for_their_own_resources_only(fleet: Fleet) -> None:
    node = fleet.join(1)
    fleet.settle(node)
    decision = DecisionSession(9, fleet.store)
    fleet.ledger.add(decision)
    fleet.ledger.observe(decision, decision.receive(snapshot_pb2.SnapshotRequest(node="d"), 1.0))
    first = snapshot_pb2.SnapshotDelta.FromString(decision.next_response(1.0) or b"")
    assert first.complete
    fleet.ledger.observe(decision, decision.receive(snapshot_pb2.SnapshotRequest(nonce=first.nonce), 1.0))
    update = fleet.update()
    assert (update.envoys, update.decisions) == ({SHARED: 1}, 1)
    step = publication(2, Put(key=Key(SNAPSHOT, "plan/1"), version="1", wire=b"\x12\x00"), put(Key(SCOPE, "s"), "2"))
    fleet.publish(step)
    decision.publish([Key(SNAPSHOT, "plan/1")], 2, 1.0)
    assert fleet.ledger.state(Key(SNAPSHOT, "plan/1")).waiting == ("d",)
    assert fleet.ledger.state(Key(SCOPE, "s")).waiting == ("envoy-1",)


def test_what_everybody_acknowledged_before_nobody_lacks(fleet: Fleet) -> None:
    node = fleet.join(1)
    fleet.settle(node)
    for revision, version in ((2, "2"), (3, "3")):
        fleet.publish(publication(revision, put(Key(SCOPE, "s"), version)))
    assert fleet.update().keys[Key(SCOPE, "s")].lacking == 2
    response = node.next()
    assert response is not None
    fleet.nack(node, response, "no")
    assert fleet.update().keys[Key(SCOPE, "s")].lacking == 2
    fleet.publish(publication(4, put(Key(SCOPE, "s"), "4")))
    fleet.settle(node)
    assert fleet.update().keys[Key(SCOPE, "s")].settled
    fleet.publish(publication(5, put(Key(SCOPE, "s"), "5")))
    assert fleet.update().keys[Key(SCOPE, "s")].lacking == 5


def test_a_node_that_comes_back_with_an_older_version_may_lack_all_of_it(fleet: Fleet) -> None:
    fleet.settle(fleet.join(1))
    fleet.publish(publication(2, put(Key(SCOPE, "s"), "2")))
    fleet.settle(fleet.nodes[1])
    fleet.join(2, held={SCOPE: {"s": "1"}})
    assert fleet.update().keys[Key(SCOPE, "s")].lacking == 0


def test_a_proxy_without_a_listener_is_led_to_no_routes_and_counts_all_the_same() -> None:
    fleet = Fleet()
    fleet.publish(publication(1, put(Key(SCOPE, "s"), "1"), put(Key(CLUSTER, "c"), "1")))
    node = fleet.nodes[1] = Node(fleet.store, sid=1)
    fleet.ledger.add(node.session)
    for type_url in (CLUSTER, LISTENER):
        fleet.ledger.observe(node.session, node.subscribe(type_url))
    fleet.settle(node)
    assert fleet.update().envoys == {SHARED: 1}
