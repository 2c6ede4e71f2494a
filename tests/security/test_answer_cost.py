"""Nobody gets more than his budget by how he asks for answers, or by what he says about them."""

from __future__ import annotations

import json
from collections.abc import Generator

import fastforward_entrypoint.ends
import pytest
from fastforward_compiler.emit.envoy import edge
from fastforward_pipeline.effects import TakeTokens

from security.deployment import HOST, Deployment, Pairs, deploying
from support.origin import Received, Reply
from support.resources import Document, limit, on, prefix, route, rule

PAID = json.dumps({"usage": {"total_tokens": 60}})
ATTACKS: tuple[Pairs, ...] = (
    (),
    (("accept-encoding", "gzip, br"),),
    (("x-ff-exact-ends", "p,a,b"),),
    (("x-ff-ends", "1"),),
    (("x-ff-ends", "1"), ("x-ff-entry", "x")),
    (("connection", "x-ff-plan"),),
    (("te", "trailers"),),
    (("upgrade", "websocket"), ("connection", "upgrade")),
)
BUDGET = 100
ENOUGH = 2
"""Answers of 60 units until nothing is left."""


def documents() -> list[Document]:
    cost = {"path": "usage.total_tokens", "otherwise": 60}
    spec = {"requests": BUDGET, "window": "1h", "enforcement": "Exact", "onFailure": "Closed", "cost": cost}
    return [
        route("shop", rule(prefix("/"), to="shop"), hosts=HOST),
        limit("tokens", on("Route", "shop"), key=[{"type": "Header", "header": "x-who"}], **spec),
    ]


def tell(received: Received) -> Reply:
    """Like a server that compresses for whoever takes that."""
    encoding = received.header("accept-encoding")
    headers = (
        ("content-type", "application/json"),
        *((("content-encoding", encoding),) if encoding is not None else ()),
    )
    return Reply(headers=headers, body=PAID)


def most_served(deployment: Deployment) -> int:
    """How many answers the luckiest attacker gets of twelve requests, one after another."""
    served = []
    for number, attack in enumerate(ATTACKS):
        sent = (*attack, ("x-who", str(number)))
        upgrades = any(name == "upgrade" for name, _ in attack)
        ways = (deployment.get,) if upgrades else (deployment.get, deployment.get2)
        for way in ways:
            own = (*sent, ("x-who", way.__name__))
            served.append(sum(way("/ends", own, method="POST").status == 200 for _ in range(12)))
    return max(served)


@pytest.fixture
def deployment() -> Generator[Deployment]:
    with deploying(*documents(), origins=("shop",), answer=tell) as running:
        assert running.problems == ()
        yield running


def test_nobody_is_served_beyond_his_budget(deployment: Deployment) -> None:
    # The end of a request is told a moment after its answer: one or two may slip in between.
    assert ENOUGH <= most_served(deployment) <= ENOUGH + 2


def test_the_check_sees_a_build_whose_proxy_tells_no_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    own = edge.emit_ends

    def silent() -> object:
        made = own()
        made.filter.metadata_filter.matcher.path[0].key = "nothing"
        return made

    monkeypatch.setattr(edge, "emit_ends", silent)
    with deploying(*documents(), origins=("shop",), answer=tell) as broken:
        assert most_served(broken) == 12


def test_the_check_sees_a_build_that_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastforward_entrypoint.ends, "settle_ends", lambda *_: TakeTokens(()))
    with deploying(*documents(), origins=("shop",), answer=tell) as broken:
        assert most_served(broken) == 12
