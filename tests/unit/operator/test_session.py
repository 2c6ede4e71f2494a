"""The delta protocol and the order of publication, one node at a time, without a wire or a clock."""

import itertools

import pytest
from fastforward_operator.xds.channel import MAX_BYTES, MAX_RESOURCES, NEW_PATIENCE_S, PATIENCE_S, WINDOW
from fastforward_operator.xds.store import CLUSTER, ENDPOINT, EXTENSION, LISTENER, SCOPE, Key, Put, Store

from support.xds import Node, Response, publication, put


@pytest.fixture
def node() -> Node:
    return Node(Store())


def test_a_wildcard_without_resources_is_answered_at_once(node: Node) -> None:
    node.subscribe(CLUSTER)
    response = node.expect()
    assert (response.type_url, dict(response.versions), response.removed) == (CLUSTER, {}, ())
    node.ack(response)
    assert node.next() is None


def test_a_wildcard_gets_everything_then_only_what_changes(node: Node) -> None:
    node.publish(publication(1, put(Key(CLUSTER, "a"), "1"), put(Key(CLUSTER, "b"), "1")))
    node.subscribe(CLUSTER, "*")
    assert node.expect().versions == {"a": "1", "b": "1"}
    node.publish(publication(2, put(Key(CLUSTER, "b"), "2"), put(Key(CLUSTER, "a"), "1")))
    assert node.expect().versions == {"b": "2"}


def test_a_reconnecting_node_is_sent_nothing_that_it_has_and_told_what_went(node: Node) -> None:
    node.publish(publication(1, put(Key(SCOPE, "a"), "1"), put(Key(SCOPE, "b"), "2")))
    node.subscribe(SCOPE, held={"a": "1", "b": "1", "gone": "1"})
    response = node.expect()
    assert response.versions == {"b": "2"}
    assert response.removed == ("gone",)


@pytest.mark.parametrize("name", ["*", "gone"])
def test_what_routes_of_a_reconnecting_node_may_name_is_left_to_be_taken_away_later(node: Node, name: str) -> None:
    assert node.subscribe(CLUSTER, name, held={"gone": "1"}).gone == (Key(CLUSTER, "gone"),)
    assert node.next() is None
    node.session.publish((Key(CLUSTER, "gone"),), 1, node.now)
    assert node.expect().removed == ("gone",)


def test_a_reconnecting_node_that_has_everything_hears_nothing(node: Node) -> None:
    node.publish(publication(1, put(Key(CLUSTER, "a"), "1"), put(Key(ENDPOINT, "a"), "1")))
    node.subscribe(CLUSTER, held={"a": "1"})
    node.subscribe(ENDPOINT, "a", held={"a": "1"})
    assert node.next() is None
    assert node.session.settled(Key(CLUSTER, "a"))
    assert node.session.settled(Key(ENDPOINT, "a"))


def test_a_node_that_comes_back_before_the_first_step_has_what_the_step_brings(node: Node) -> None:
    node.subscribe(SCOPE, held={"a": "1", "b": "1", "gone": "1"})
    node.publish(publication(1, put(Key(SCOPE, "a"), "1"), put(Key(SCOPE, "b"), "2")))
    assert node.session.settled(Key(SCOPE, "a"))
    assert not node.session.settled(Key(SCOPE, "b"))
    response = node.expect()
    assert (response.versions, response.removed) == ({"b": "2"}, ("gone",))


def test_a_name_that_is_not_there_is_answered_as_removed(node: Node) -> None:
    node.subscribe(ENDPOINT, "a")
    assert node.expect().removed == ("a",)


def test_a_name_asked_for_again_is_sent_again(node: Node) -> None:
    node.publish(publication(1, put(Key(ENDPOINT, "a"), "1")))
    node.subscribe(ENDPOINT, "a")
    node.settle()
    node.subscribe(ENDPOINT, "a")
    assert node.expect().versions == {"a": "1"}


def test_nothing_is_sent_of_what_was_unsubscribed(node: Node) -> None:
    node.publish(publication(1, put(Key(ENDPOINT, "a"), "1")))
    node.subscribe(ENDPOINT, "a")
    node.settle()
    node.unsubscribe(ENDPOINT, "a")
    node.publish(publication(2, put(Key(ENDPOINT, "a"), "2")))
    assert node.next() is None


def test_a_removal_is_told_once(node: Node) -> None:
    node.publish(publication(1, put(Key(SCOPE, "a"), "1")))
    node.subscribe(SCOPE)
    node.settle()
    node.publish(publication(2, removed=[Key(SCOPE, "a")]))
    response = node.expect()
    assert response.removed == ("a",)
    node.ack(response)
    assert node.next() is None


def test_what_came_and_went_before_it_was_sent_is_never_told(node: Node) -> None:
    node.subscribe(SCOPE)
    node.settle()
    node.publish(publication(1, put(Key(SCOPE, "a"), "1")))
    node.publish(publication(2, removed=[Key(SCOPE, "a")]))
    assert node.next() is None


def test_the_newest_version_wins_and_an_older_one_never_follows(node: Node) -> None:
    node.subscribe(SCOPE)
    node.settle()
    for revision in range(1, 50):
        node.publish(publication(revision, put(Key(SCOPE, "a"), str(revision))))
    assert [dict(response.versions) for response in node.settle()] == [{"a": "49"}]


def test_an_acknowledgement_settles_the_version_that_was_sent_and_no_newer_one(node: Node) -> None:
    node.publish(publication(1, put(Key(SCOPE, "a"), "1")))
    node.subscribe(SCOPE)
    first = node.expect()
    node.publish(publication(2, put(Key(SCOPE, "a"), "2")))
    second = node.expect()
    assert node.ack(first).acknowledged == ()
    assert not node.session.settled(Key(SCOPE, "a"))
    assert node.ack(second).acknowledged == (Key(SCOPE, "a"),)
    assert node.session.settled(Key(SCOPE, "a"))


def test_an_unknown_nonce_changes_nothing(node: Node) -> None:
    node.publish(publication(1, put(Key(SCOPE, "a"), "1")))
    node.subscribe(SCOPE)
    response = node.expect()
    node.ack(response)
    assert node.ack(response).acknowledged == ()
    assert node.nack(response).refused == ()


def test_large_answers_are_cut_below_four_mebibytes(node: Node) -> None:
    big = [Put(key=Key(CLUSTER, str(i)), version="1", wire=b"\x12" + b"x" * 1_000_000) for i in range(7)]
    sizes = []
    node.store.put(big, 1)
    node.subscribe(CLUSTER)
    while (data := node.session.next_response(node.now)) is not None:
        sizes.append(len(data))
        node.now += PATIENCE_S
    assert len(sizes) == 3
    assert max(sizes) < MAX_BYTES + 1000


@pytest.mark.parametrize("type_url", [LISTENER, SCOPE])
def test_what_opens_a_port_is_told_whole_at_first(node: Node, type_url: str) -> None:
    many = range(MAX_RESOURCES + 1)
    node.publish(publication(1, *(put(Key(type_url, str(i)), "1") for i in many)))
    node.subscribe(type_url)
    assert len(node.expect().versions) == len(many)
    node.publish(publication(2, *(put(Key(type_url, str(i)), "2") for i in many)))
    assert len(node.expect().versions) == MAX_RESOURCES
    assert len(node.expect().versions) == 1


def test_a_node_that_serves_already_is_told_in_parts(node: Node) -> None:
    node.publish(publication(1, *(put(Key(SCOPE, str(i)), "1") for i in range(MAX_RESOURCES + 1))))
    node.subscribe(SCOPE, held={"0": "0"})
    assert len(node.expect().versions) == MAX_RESOURCES


def test_routes_of_the_beginning_wait_for_each_other_but_not_for_ever(node: Node) -> None:
    node.publish(publication(1, put(Key(CLUSTER, "c"), "1"), put(Key(CLUSTER, "slow"), "1")))
    node.publish(publication(2, *(put(Key(SCOPE, c), "1", needs=((CLUSTER, c),)) for c in ("c", "slow", "none"))))
    node.subscribe(CLUSTER)
    assert node.expect().type_url == CLUSTER
    opened = node.now
    node.subscribe(SCOPE)
    assert node.next() is None
    # What changes all the time is no reason to wait longer.
    told: dict[str, Response] = {}
    revisions = itertools.count(3)
    while SCOPE not in told:
        assert node.now < opened + NEW_PATIENCE_S
        node.now += PATIENCE_S
        revision = next(revisions)
        node.publish(publication(revision, put(Key(CLUSTER, "c"), str(revision))))
        told = {response.type_url: response for response in iter(node.next, None)}
    assert set(told[SCOPE].versions) == {"c", "slow", "none"}


def ready(node: Node) -> None:
    """A node with a cluster, its endpoints, a listener and a route."""
    node.publish(
        publication(
            1,
            put(Key(EXTENSION, "jwt"), "1"),
            put(Key(CLUSTER, "c"), "1"),
            put(Key(ENDPOINT, "c"), "1"),
            put(Key(LISTENER, "l"), "1"),
            put(Key(SCOPE, "s"), "1", needs=((CLUSTER, "c"), (ENDPOINT, "c"))),
        )
    )
    node.subscribe(CLUSTER)
    node.subscribe(LISTENER)
    node.settle()
    node.subscribe(ENDPOINT, "c")
    node.subscribe(EXTENSION, "jwt")
    node.subscribe(SCOPE)
    node.settle()


def test_extensions_and_clusters_go_before_listeners_and_routes(node: Node) -> None:
    ready(node)
    node.publish(
        publication(
            2,
            put(Key(SCOPE, "s"), "2", needs=((CLUSTER, "c"), (ENDPOINT, "c"))),
            put(Key(LISTENER, "l"), "2"),
            put(Key(CLUSTER, "c"), "2"),
            put(Key(EXTENSION, "jwt"), "2"),
        )
    )
    first = [node.expect(), node.expect(), node.expect()]
    assert [response.type_url for response in first] == [EXTENSION, CLUSTER, ENDPOINT]
    assert node.next() is None
    for response in first:
        node.ack(response)
    assert [response.type_url for response in node.settle()] == [LISTENER, SCOPE]


def test_a_cluster_that_is_sent_again_gets_its_endpoints_again(node: Node) -> None:
    ready(node)
    node.publish(publication(2, put(Key(CLUSTER, "c"), "2")))
    sent = [(response.type_url, dict(response.versions)) for response in node.settle()]
    assert sent == [(CLUSTER, {"c": "2"}), (ENDPOINT, {"c": "1"})]


@pytest.mark.parametrize(("cluster", "patience"), [("c", PATIENCE_S), ("new", NEW_PATIENCE_S)])
def test_a_route_waits_for_the_clusters_that_it_names_but_not_for_ever(
    node: Node, cluster: str, patience: float
) -> None:
    ready(node)
    needs = ((CLUSTER, cluster),)
    node.publish(publication(2, put(Key(CLUSTER, cluster), "2"), put(Key(SCOPE, "s"), "2", needs=needs)))
    while (response := node.expect()).type_url == ENDPOINT:
        node.ack(response)
    assert response.type_url == CLUSTER
    for endpoints in iter(node.next, None):
        assert endpoints.type_url == ENDPOINT
        node.ack(endpoints)
    assert node.session.wake_at == pytest.approx(node.now + patience)
    node.now += patience
    assert node.expect().type_url == SCOPE


def test_a_route_to_a_new_cluster_goes_once_its_endpoints_are_acknowledged_though_clusters_are_not(node: Node) -> None:
    ready(node)
    needs = ((CLUSTER, "new"), (ENDPOINT, "new"))
    node.publish(
        publication(
            2, put(Key(CLUSTER, "new"), "1"), put(Key(ENDPOINT, "new"), "1"), put(Key(SCOPE, "s"), "2", needs=needs)
        )
    )
    assert node.expect().type_url == CLUSTER
    node.now += PATIENCE_S
    assert node.next() is None
    node.subscribe(ENDPOINT, "new")
    endpoints = node.expect()
    assert endpoints.type_url == ENDPOINT
    node.now += PATIENCE_S
    assert node.next() is None
    node.ack(endpoints)
    assert node.expect().versions == {"s": "2"}


def test_a_cluster_that_was_taken_away_is_new_when_it_comes_back(node: Node) -> None:
    ready(node)
    node.store.remove(Key(CLUSTER, "c"))
    node.session.publish((Key(CLUSTER, "c"),), 2, node.now)
    node.ack(node.expect())
    node.session.channels[ENDPOINT].unsubscribe(("c",))
    node.publish(publication(3, put(Key(CLUSTER, "c"), "1"), put(Key(SCOPE, "s"), "2", needs=((CLUSTER, "c"),))))
    assert node.expect().type_url == CLUSTER
    node.now += PATIENCE_S
    assert node.next() is None


def test_a_route_whose_clusters_are_acknowledged_goes_at_once_beside_a_cluster_that_warms(node: Node) -> None:
    ready(node)
    node.publish(publication(2, put(Key(CLUSTER, "slow"), "1")))
    assert node.expect().versions == {"slow": "1"}
    node.publish(publication(3, put(Key(SCOPE, "s"), "2", needs=((CLUSTER, "c"), (ENDPOINT, "c")))))
    assert node.expect().versions == {"s": "2"}


def test_a_route_of_an_earlier_step_does_not_wait_for_later_extensions(node: Node) -> None:
    ready(node)
    node.gates[2] = node.now + PATIENCE_S
    node.publish(publication(2, put(Key(SCOPE, "s"), "2", needs=(), hop=True)))
    node.publish(publication(3, put(Key(EXTENSION, "jwt"), "2")))
    extension = node.expect()
    assert extension.type_url == EXTENSION
    node.gates.clear()
    assert node.expect().versions == {"s": "2"}


def test_a_route_with_a_hop_waits_for_the_decision_services(node: Node) -> None:
    ready(node)
    node.gates = {2: node.now + PATIENCE_S, 3: node.now + PATIENCE_S}
    node.publish(
        publication(
            2, put(Key(SCOPE, "s"), "2", needs=(), hop=True), put(Key(SCOPE, "native"), "1", needs=(), hop=False)
        )
    )
    assert node.expect().versions == {"native": "1"}
    assert node.next() is None
    node.now += PATIENCE_S
    assert node.expect().versions == {"s": "2"}


def test_a_burst_coalesces_behind_a_full_window_and_a_silent_node_gets_one_response_a_time_out(node: Node) -> None:
    node.subscribe(SCOPE)
    node.settle()
    sent = 0
    for revision in range(1, 101):
        node.publish(publication(revision, put(Key(SCOPE, "a"), str(revision))))
        sent += node.next() is not None
    assert sent == WINDOW
    node.now += PATIENCE_S
    assert node.expect().versions == {"a": "100"}
    assert node.next() is None


def test_a_thousand_churning_steps_delay_a_route_by_no_more_than_its_patience(node: Node) -> None:
    """Clusters that change all the time and are never acknowledged."""
    ready(node)
    node.publish(publication(2, put(Key(CLUSTER, "x"), "0"), put(Key(SCOPE, "s"), "2")))
    published, sent_at = node.now, 0.0
    for revision in range(3, 1000):
        node.now += 0.001
        node.publish(publication(revision, put(Key(CLUSTER, "x"), str(revision))))
        while (response := node.next()) is not None:
            if response.type_url == SCOPE:
                sent_at = sent_at or node.now
            elif response.type_url != CLUSTER:
                node.ack(response)
    assert 0 < sent_at - published <= 2 * PATIENCE_S + 0.01
