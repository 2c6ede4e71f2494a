"""What a node refuses: who is to blame, and that nobody else suffers for it."""

import pytest
from fastforward_operator.xds.session import DecisionSession
from fastforward_operator.xds.store import ENDPOINT, SCOPE, SNAPSHOT, Key, Put, Store

from fastforward.snapshot.v1 import snapshot_pb2
from support.xds import Node, publication, put


@pytest.fixture
def node() -> Node:
    return Node(Store())


def test_a_refused_response_is_halved_until_the_bad_one_is_alone(node: Node) -> None:
    names = [f"s{i}" for i in range(16)]
    node.publish(publication(1, *(put(Key(SCOPE, name), "1") for name in names)))
    node.subscribe(SCOPE)
    refused = []
    while (response := node.next()) is not None:
        if "s11" in response.versions:
            refused += node.nack(response, "s11 is bad").refused
        else:
            node.ack(response)
    assert refused == [Key(SCOPE, "s11")]
    assert node.session.channels[SCOPE].refused["s11"].message == "s11 is bad"
    assert all(node.session.settled(Key(SCOPE, name)) for name in names if name != "s11")
    assert not node.session.settled(Key(SCOPE, "s11"))


def test_who_stands_in_a_refused_response_beside_one_that_was_sent_again_is_not_refused_for_it(node: Node) -> None:
    node.publish(publication(1, put(Key(SCOPE, "bad"), "1"), put(Key(SCOPE, "good"), "1")))
    node.subscribe(SCOPE)
    first = node.expect()
    node.publish(publication(2, put(Key(SCOPE, "bad"), "2")))
    second = node.expect()
    assert node.nack(first, "bad is bad").refused == ()
    node.ack(second)
    again = node.expect()
    assert again.versions == {"good": "1"}
    node.ack(again)
    assert node.session.settled(Key(SCOPE, "good"))


def test_what_changes_goes_though_nobody_wants_the_rest_of_a_refused_response(node: Node) -> None:
    node.publish(publication(1, put(Key(ENDPOINT, "a"), "1"), put(Key(ENDPOINT, "b"), "1")))
    node.subscribe(ENDPOINT, "a", "b")
    node.nack(node.expect())
    node.unsubscribe(ENDPOINT, "a")
    node.unsubscribe(ENDPOINT, "b")
    node.publish(publication(2, put(Key(ENDPOINT, "c"), "1")))
    node.subscribe(ENDPOINT, "c")
    assert node.expect().versions == {"c": "1"}


def test_a_decision_service_is_not_told_that_all_is_there_while_halves_of_a_refused_response_are_to_come() -> None:
    store = Store()
    store.put([Put(key=Key(SNAPSHOT, f"table/{i}"), version="1", wire=b"\x12\x00") for i in range(4)], 1)
    session = DecisionSession(1, store)
    session.receive(snapshot_pb2.SnapshotRequest(node="d"), 0.0)
    first = snapshot_pb2.SnapshotDelta.FromString(session.next_response(0.0) or b"")
    session.receive(snapshot_pb2.SnapshotRequest(nonce=first.nonce, error="bad"), 0.0)
    halves = [snapshot_pb2.SnapshotDelta.FromString(session.next_response(0.0) or b"") for _ in range(2)]
    assert [(len(half.resources), half.complete) for half in halves] == [(2, False), (2, True)]


def test_a_decision_service_that_refuses_the_last_resource_is_told_that_nothing_more_is_to_come() -> None:
    store = Store()
    store.put([Put(key=Key(SNAPSHOT, "table/1"), version="1", wire=b"\x12\x00")], 1)
    session = DecisionSession(1, store)
    session.receive(snapshot_pb2.SnapshotRequest(node="d"), 0.0)
    first = snapshot_pb2.SnapshotDelta.FromString(session.next_response(0.0) or b"")
    session.receive(snapshot_pb2.SnapshotRequest(nonce=first.nonce, error="bad"), 0.0)
    last = snapshot_pb2.SnapshotDelta.FromString(session.next_response(0.0) or b"")
    assert (len(last.resources), last.complete) == (0, True)
    session.receive(snapshot_pb2.SnapshotRequest(nonce=last.nonce), 0.0)
    assert session.next_response(0.0) is None


def test_a_refused_version_is_not_sent_again_but_the_next_one_is(node: Node) -> None:
    node.publish(publication(1, put(Key(SCOPE, "a"), "1")))
    node.subscribe(SCOPE)
    node.nack(node.expect())
    assert node.next() is None
    node.publish(publication(2, put(Key(SCOPE, "a"), "2")))
    response = node.expect()
    assert response.versions == {"a": "2"}
    node.ack(response)
    assert node.session.settled(Key(SCOPE, "a"))
