"""What a node refuses: who is to blame, and that nobody else suffers for it."""

import pytest
from fastforward_operator.xds.store import ENDPOINT, SCOPE, Key, Store

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
