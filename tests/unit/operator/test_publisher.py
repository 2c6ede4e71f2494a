"""Steps on their way to nodes: removals last, and only when nobody's routes can need them."""

import asyncio
import time
from collections.abc import Callable

import pytest
from fastforward_operator.xds.ledger import LedgerUpdate
from fastforward_operator.xds.publisher import Publisher
from fastforward_operator.xds.session import DecisionSession
from fastforward_operator.xds.store import CLUSTER, ENDPOINT, LISTENER, SCOPE, SECRET, SNAPSHOT, Key, Put

from fastforward.snapshot.v1 import snapshot_pb2
from support.eventually import eventually
from support.xds import Node, publication, put

GRACE_S = 3600.0
"""So long that removals come only when a test says that it has passed."""


class Scene:
    """A publisher with one Envoy."""

    def __init__(self) -> None:
        self.updates: list[LedgerUpdate] = []
        self.publisher = Publisher(self.updates.append, GRACE_S)
        self.publisher.bind(asyncio.get_running_loop())
        self.node = Node(self.publisher.store)
        self.publisher.join(self.node.session, lambda: None)

    def subscribe(self, type_url: str, *names: str, held: dict[str, str] | None = None) -> None:
        self.publisher.observe(self.node.session, self.node.subscribe(type_url, *names, held=held))

    def publish(self, revision: int, *puts: Put, removed: tuple[Key, ...] = ()) -> None:
        self.publisher.apply(publication(revision, *puts, removed=removed))

    def settle(self, *, refuse: str = "") -> None:
        while (response := self.node.next()) is not None:
            bad = refuse != "" and refuse in response.versions
            receipt = self.node.nack(response) if bad else self.node.ack(response)
            self.publisher.observe(self.node.session, receipt)

    def let_the_grace_pass(self) -> None:
        self.publisher.remove_due(time.monotonic() + GRACE_S)

    def has(self, key: Key) -> bool:
        return self.publisher.store.get(key) is not None


@pytest.fixture
async def scene() -> Scene:
    made = Scene()
    made.publish(1, put(Key(LISTENER, "l"), "1"), put(Key(CLUSTER, "c"), "1"), put(Key(SCOPE, "s"), "1"))
    for type_url in (CLUSTER, LISTENER, SCOPE):
        made.subscribe(type_url)
    made.settle()
    return made


async def test_a_route_goes_at_once_and_its_cluster_after_the_grace(scene: Scene) -> None:
    scene.publish(2, removed=(Key(SCOPE, "s"), Key(CLUSTER, "c")))
    assert not scene.has(Key(SCOPE, "s"))
    assert scene.has(Key(CLUSTER, "c"))
    scene.settle()
    scene.publisher.remove_due(time.monotonic())
    assert scene.has(Key(CLUSTER, "c"))
    scene.let_the_grace_pass()
    assert not scene.has(Key(CLUSTER, "c"))
    assert scene.node.expect().removed == ("c",)


async def test_a_cluster_stays_while_a_route_that_may_name_it_is_not_acknowledged(scene: Scene) -> None:
    scene.publish(2, put(Key(SCOPE, "s"), "2"), removed=(Key(CLUSTER, "c"),))
    scene.let_the_grace_pass()
    assert scene.has(Key(CLUSTER, "c"))
    scene.settle()
    scene.let_the_grace_pass()
    assert not scene.has(Key(CLUSTER, "c"))


async def test_a_cluster_stays_while_a_proxy_refuses_the_route_that_no_longer_names_it(scene: Scene) -> None:
    scene.publish(2, put(Key(SCOPE, "s"), "2"), removed=(Key(CLUSTER, "c"),))
    scene.settle(refuse="s")
    scene.let_the_grace_pass()
    assert scene.has(Key(CLUSTER, "c"))
    scene.publish(3, put(Key(SCOPE, "s"), "3"))
    scene.settle()
    scene.let_the_grace_pass()
    assert not scene.has(Key(CLUSTER, "c"))


async def test_what_comes_back_within_the_grace_is_never_taken_away(scene: Scene) -> None:
    scene.publish(2, removed=(Key(CLUSTER, "c"),))
    scene.publish(3, put(Key(CLUSTER, "c"), "1"))
    scene.settle()
    scene.let_the_grace_pass()
    assert scene.has(Key(CLUSTER, "c"))
    assert scene.node.next() is None


async def test_what_comes_back_as_it_was_is_acknowledged_in_the_step_that_brought_it_back(scene: Scene) -> None:
    scene.publish(2, put(Key(SCOPE, "s"), "2"), removed=(Key(CLUSTER, "c"),))
    scene.settle()
    await eventually(lambda: scene.updates)
    scene.updates.clear()
    scene.publish(3, put(Key(CLUSTER, "c"), "1"))
    await eventually(lambda: scene.updates)
    state = scene.updates[0].keys[Key(CLUSTER, "c")]
    assert (state.revision, state.settled) == (3, True)
    assert scene.node.next() is None


def comes_back(scene: Scene) -> None:
    """An Envoy whose route led to `old` when its last stream ended."""
    scene.subscribe(CLUSTER, held={"old": "1"})
    scene.subscribe(SECRET, "old", held={"old": "1"})
    scene.subscribe(LISTENER, held={"l": "1"})
    scene.subscribe(SCOPE, held={"s": "1", "gone": "1"})
    scene.subscribe(ENDPOINT, "old", held={"old": "1"})


MOVED = (
    put(Key(LISTENER, "l"), "1"),
    put(Key(CLUSTER, "new"), "1"),
    put(Key(ENDPOINT, "new"), "1"),
    put(Key(SCOPE, "s"), "2", needs=((CLUSTER, "new"), (ENDPOINT, "new"))),
)


@pytest.mark.parametrize("early", [True, False])
async def test_what_a_node_holds_that_went_while_it_was_away_is_taken_away_after_the_routes(*, early: bool) -> None:
    scene = Scene()
    if early:
        comes_back(scene)
    scene.publish(7, *MOVED)
    if not early:
        comes_back(scene)
    scene.let_the_grace_pass()
    clusters = scene.node.expect()
    assert (dict(clusters.versions), clusters.removed) == ({"new": "1"}, ())
    scene.publisher.observe(scene.node.session, scene.node.ack(clusters))
    scene.subscribe(ENDPOINT, "new")
    endpoints = scene.node.expect()
    assert (endpoints.type_url, endpoints.removed) == (ENDPOINT, ())
    scene.publisher.observe(scene.node.session, scene.node.ack(endpoints))
    routes = scene.node.expect()
    assert (dict(routes.versions), routes.removed) == ({"s": "2"}, ("gone",))
    scene.let_the_grace_pass()
    assert scene.node.next() is None
    scene.publisher.observe(scene.node.session, scene.node.ack(routes))
    scene.publisher.remove_due(time.monotonic())
    assert scene.node.next() is None
    scene.let_the_grace_pass()
    removed = {response.type_url: response.removed for response in iter(scene.node.next, None)}
    assert removed == {CLUSTER: ("old",), SECRET: ("old",), ENDPOINT: ("old",)}


async def test_what_a_node_holds_stays_when_it_is_there_again() -> None:
    scene = Scene()
    comes_back(scene)
    scene.publish(1, put(Key(CLUSTER, "old"), "1"))
    scene.let_the_grace_pass()
    scene.settle()
    assert scene.node.session.settled(Key(CLUSTER, "old"))
    assert scene.node.session.told[CLUSTER] == 0


async def test_nothing_is_taken_away_before_it_is_known_what_there_is() -> None:
    scene = Scene()
    scene.subscribe(CLUSTER, held={"old": "1"})
    scene.let_the_grace_pass()
    assert scene.node.next() is None


async def test_a_decision_service_keeps_what_went_until_no_proxy_asks_for_it(scene: Scene) -> None:
    scene.publish(2, put(Key(SCOPE, "s"), "2"))
    session = DecisionSession(9, scene.publisher.store)
    scene.publisher.join(session, lambda: None)
    receipt = session.receive(snapshot_pb2.SnapshotRequest(node="d9", held={"plan/1": "1"}), time.monotonic())
    scene.publisher.observe(session, receipt)
    first = snapshot_pb2.SnapshotDelta.FromString(session.next_response(time.monotonic()) or b"")
    assert (list(first.removed), first.complete) == ([], True)
    scene.let_the_grace_pass()
    assert session.next_response(time.monotonic()) is None
    scene.settle()
    scene.let_the_grace_pass()
    then = snapshot_pb2.SnapshotDelta.FromString(session.next_response(time.monotonic()) or b"")
    assert list(then.removed) == ["plan/1"]


async def test_one_timer_runs_for_all_that_is_to_be_taken_away(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    timers: list[tuple[float, Callable[[], None]]] = []
    monkeypatch.setattr(asyncio.get_running_loop(), "call_later", lambda delay, call: timers.append((delay, call)))
    for revision in range(2, 10):
        scene.publish(
            revision,
            put(Key(CLUSTER, f"c{revision}"), "1"),
            removed=(Key(CLUSTER, "c"), Key(CLUSTER, f"c{revision - 1}")),
        )
    ((delay, look),) = timers
    assert delay == pytest.approx(GRACE_S, rel=0.01)
    look()
    assert len(timers) == 2
    scene.settle()
    scene.let_the_grace_pass()
    timers[1][1]()
    assert len(timers) == 2
    scene.publish(10, removed=(Key(CLUSTER, "c9"),))
    assert len(timers) == 3


async def test_the_ledger_is_told_of_in_one_update_a_turn(scene: Scene) -> None:
    await eventually(lambda: scene.updates)
    scene.updates.clear()
    scene.publish(2, *(put(Key(SCOPE, f"s{i}"), "1") for i in range(100)))
    await eventually(lambda: scene.updates)
    assert len(scene.updates) == 1
    assert len(scene.updates[0].keys) == 100


def decision(scene: Scene, sid: int = 9) -> DecisionSession:
    session = DecisionSession(sid, scene.publisher.store)
    scene.publisher.join(session, lambda: None)
    session.receive(snapshot_pb2.SnapshotRequest(node=f"d{sid}"), asyncio.get_running_loop().time())
    return session


def answer(session: DecisionSession) -> None:
    now = asyncio.get_running_loop().time()
    while (data := session.next_response(now)) is not None:
        delta = snapshot_pb2.SnapshotDelta.FromString(data)
        session.receive(snapshot_pb2.SnapshotRequest(nonce=delta.nonce), now)


async def test_routes_with_a_hop_wait_for_decision_services_that_answer_in_time(scene: Scene) -> None:
    session = decision(scene)
    answer(session)
    assert scene.publisher.decision_gate(2) == 0
    scene.publish(2, Put(key=Key(SNAPSHOT, "plan/1"), version="1", wire=b"\x12\x00"))
    now = asyncio.get_running_loop().time()
    assert scene.publisher.decision_gate(2) > now
    assert scene.publisher.decision_gate(1) == 0
    answer(session)
    assert scene.publisher.decision_gate(2) == 0


async def test_a_decision_service_that_lags_is_not_waited_for(scene: Scene) -> None:
    session = decision(scene)
    answer(session)
    scene.publish(2, Put(key=Key(SNAPSHOT, "plan/1"), version="1", wire=b"\x12\x00"))
    session.next_response(asyncio.get_running_loop().time() - 1)
    scene.publish(3, Put(key=Key(SNAPSHOT, "plan/2"), version="1", wire=b"\x12\x00"))
    assert scene.publisher.decision_gate(3) == 0
