"""What the proxies of several replicas acknowledged, as if they were those of one."""

from __future__ import annotations

import asyncio

import pytest
from fastforward_operator.publication import Publications
from fastforward_operator.replicas import Exchange, MergedLedger
from fastforward_operator.telemetry import Metrics
from fastforward_operator.xds.ledger import KeyState, LedgerUpdate
from fastforward_operator.xds.store import CLUSTER, SNAPSHOT, Key, Publication

from fastforward.replica.v1 import replica_pb2

FRONT, BACK = Key(CLUSTER, "a", "shop/front"), Key(CLUSTER, "a", "shop/back")
PLAN = Key(SNAPSHOT, "plan/1")


class Scene:
    """A merged ledger that knows three resources, each at version `1` of revision 1."""

    def __init__(self) -> None:
        self.publications = Publications(revision=1)
        for key in (FRONT, BACK, PLAN):
            self.publish(key, "1")
        self.states: dict[Key, KeyState] = {}
        self.envoys: dict[str, int] = {}
        self.decisions = 0
        self.ledger = MergedLedger(self.publications, self.take)
        self.own(envoys={"shop/front": 1})

    def publish(self, key: Key, version: str) -> None:
        self.publications.versions[key], self.publications.revisions[key] = version, self.publications.revision

    def take(self, update: LedgerUpdate) -> None:
        self.states.update(update.keys)
        self.envoys, self.decisions = dict(update.envoys), update.decisions

    def own(self, *states: tuple[Key, KeyState], envoys: dict[str, int] | None = None) -> None:
        self.ledger.observe_own(LedgerUpdate(keys=dict(states), envoys=envoys or self.ledger.envoys, decisions=0))

    def change(self, key: Key, version: str) -> None:
        """Published here; the proxies here have it at once."""
        self.publications.revision += 1
        self.publish(key, version)
        self.own((key, KeyState(revision=self.publications.revision)))

    def hear(self, *keys: replica_pb2.Key, stream: int = 1, **more: object) -> None:
        self.ledger.observe_remote(stream, f"r{stream}", replica_pb2.LedgerDelta(keys=keys, **more))  # ty: ignore[invalid-argument-type]

    def join(self, *keys: replica_pb2.Key, stream: int = 1) -> None:
        """Another replica with two proxies of the front, which tells all that it holds."""
        nodes = replica_pb2.Nodes(envoys={"shop/front": 2}, decisions=0)
        self.hear(*keys, stream=stream, nodes=nodes, complete=True)


def told(key: Key, version: str, *waiting: str, refused: dict[str, str] | None = None) -> replica_pb2.Key:
    refusals = [replica_pb2.Refusal(node=node, words=words) for node, words in (refused or {}).items()]
    return replica_pb2.Key(
        type_url=key.type_url, name=key.name, fleet=key.fleet, version=version, waiting=waiting, refused=refusals
    )


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_proxies_are_counted_together(scene: Scene) -> None:
    scene.join(told(FRONT, "1"))
    assert scene.envoys == {"shop/front": 3}
    scene.ledger.forget(1)
    assert scene.envoys == {"shop/front": 1}


def test_a_replica_counts_when_it_has_told_everything(scene: Scene) -> None:
    scene.hear(told(FRONT, "1"), nodes=replica_pb2.Nodes(envoys={"shop/front": 2}))
    scene.own()
    assert scene.envoys == {"shop/front": 1}
    scene.hear(complete=True)
    assert scene.envoys == {"shop/front": 3}


def test_who_waits_elsewhere_is_waited_for(scene: Scene) -> None:
    scene.join(told(FRONT, "1", "envoy-2"))
    assert scene.states[FRONT].waiting == ("envoy-2",)
    scene.hear(told(FRONT, "1"))
    assert scene.states[FRONT].settled


def test_a_refusal_elsewhere_is_told_in_its_own_words(scene: Scene) -> None:
    scene.join(told(FRONT, "1", refused={"envoy-2": "no such thing"}))
    assert scene.states[FRONT].refused == (("envoy-2", "no such thing"),)


def test_a_replica_that_holds_another_version_is_waited_for_until_it_holds_ours(scene: Scene) -> None:
    scene.join(told(FRONT, "1"))
    scene.change(FRONT, "2")
    assert scene.states[FRONT].waiting == ("replica r1",)
    assert scene.states[FRONT].lacking == 2
    scene.hear(told(FRONT, "2", "envoy-2", "envoy-3"))
    assert scene.states[FRONT].waiting == ("envoy-2", "envoy-3")
    scene.change(FRONT, "3")
    assert scene.states[FRONT].lacking == 2
    scene.hear(told(FRONT, "3"))
    assert scene.states[FRONT].settled


def test_a_replica_that_is_ahead_is_waited_for_too(scene: Scene) -> None:
    scene.join(told(FRONT, "1"))
    scene.hear(told(FRONT, "2"))
    assert not scene.states[FRONT].settled
    scene.change(FRONT, "2")
    assert scene.states[FRONT].settled


def test_one_without_proxies_of_a_fleet_keeps_nobody_of_it_waiting(scene: Scene) -> None:
    scene.join(told(FRONT, "1"))
    scene.change(BACK, "2")
    assert scene.states[BACK].settled
    scene.change(PLAN, "2")
    assert scene.states[PLAN].settled
    scene.hear(nodes=replica_pb2.Nodes(envoys={"shop/front": 2}, decisions=1))
    assert scene.states[PLAN].waiting == ("replica r1",)
    assert scene.decisions == 1


def test_one_that_is_gone_keeps_nobody_waiting(scene: Scene) -> None:
    scene.join(told(FRONT, "1", "envoy-2"))
    scene.ledger.forget(1)
    assert scene.states[FRONT].settled


def test_what_is_waited_for_here_and_elsewhere_is_told_together(scene: Scene) -> None:
    scene.join(told(FRONT, "1", "envoy-2"))
    scene.own((FRONT, KeyState(revision=1, lacking=1, waiting=("envoy-1",))))
    assert scene.states[FRONT].waiting == ("envoy-1", "envoy-2")


def test_what_is_taken_away_elsewhere_is_forgotten(scene: Scene) -> None:
    scene.join(told(FRONT, "1", "envoy-2"))
    scene.hear(told(FRONT, ""))
    (remote,) = scene.ledger.remotes.values()
    assert [remote.versions, remote.waiting, remote.refused] == [{}, {}, {}]


async def test_what_is_taken_away_here_is_forgotten_for_good(scene: Scene) -> None:
    scene.join(told(FRONT, "1"))
    scene.change(FRONT, "2")
    scene.own((FRONT, waits := KeyState(revision=2, waiting=("envoy-1",))))
    del scene.publications.versions[FRONT], scene.publications.revisions[FRONT]
    exchange = Exchange(loop=asyncio.get_running_loop(), ledgers=scene.ledger, teller=None, metrics=Metrics())
    exchange.published(Publication(revision=3, removed=(FRONT,)))
    scene.states.clear()
    # Said before the server's thread heard of it.
    scene.own((FRONT, waits))
    (remote,) = scene.ledger.remotes.values()
    assert [scene.ledger._own, remote.lacks_since, scene.states] == [{}, {}, {}]


def test_a_replica_that_comes_back_is_not_counted_twice_for_long(scene: Scene) -> None:
    scene.join(told(FRONT, "1"))
    scene.join(told(FRONT, "1"), stream=2)
    scene.ledger.forget(1)
    assert scene.envoys == {"shop/front": 3}
