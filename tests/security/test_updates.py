"""While policies and routes are edited, nobody without a token is served: not weakened, not for a moment."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastforward_compiler.translate import combination

from security.policies import by_token, keys, policy
from support import tokens
from support.load import load
from support.operator import Envoy, Gateway, gateway, until
from support.resources import Document, prefix, route, rule
from support.resources import edge as edge_document

HOST = "shop.example.com"
EDITS = 200
TOGETHER = 5
"""Edits that are written one after the other before the gateway is waited for."""


def write(running: Gateway, name: str, *documents: Document) -> None:
    running.write(name, *(json.dumps(document) for document in documents))


def strict(name: str, *issuers: str, mode: str = "Required") -> Document:
    return policy(name, ("Edge", "public"), mode, *(by_token(issuer, "*") for issuer in issuers))


def on_route(mode: str, *issuers: str, **spec: object) -> Document:
    return policy("own", ("Route", "shop"), mode, *(by_token(issuer, "*") for issuer in issuers), **spec)


def shop(says: str, path: str = "/a") -> Document:
    return route("shop", rule(prefix(path), rule_name(), says=says), hosts=HOST)


def rule_name() -> Document:
    """A second match, so that the rule has several entries."""
    return prefix("/b")


def edits() -> Iterator[tuple[str, list[Document]]]:
    """Files and what they hold from then on; nothing of it may let in a caller without a token."""
    grant = {"grants": [{"name": "readers", "roles": ["reader"]}]}
    number = 0
    while True:
        number += 1
        yield "route", [shop(f"{number}")]
        yield "own", [on_route("None")]
        yield "own", [on_route("Optional", "main")]
        yield "edge-policy", [strict("strict", "main", "other")]
        yield "own", [on_route("Required", "main")]
        yield "route", [shop(f"{number}", "/")]
        yield "edge-policy", [strict("renamed", "main")]
        yield "own", [on_route("", authorization=grant)]
        yield "own", [on_route("Optional", "foreign")]
        yield "edge-policy", [strict("strict", "other", "main"), strict("renamed", "main")]
        yield "own", []
        yield "edge-policy", [strict("strict", "main")]


async def begin(running: Gateway) -> Envoy:
    """A protected route, programmed."""
    port = next(iter(running.settings.ports))
    write(running, "edge", edge_document(port), keys("main", "other", "foreign"))
    write(running, "edge-policy", strict("strict", "main"))
    write(running, "route", shop("0"))
    envoy = running.start_envoy()
    await until(lambda: envoy.get(HOST, "/a"), lambda answer: answer.status == 401)
    await until(lambda: running.programmed("Route", "shop"), bool)
    return envoy


async def edit(running: Gateway, envoy: Envoy) -> Counter[int]:
    """Edit again and again under fire, until somebody is served; returns what callers without a token got."""
    made = edits()
    proof = tokens.bearer("main", roles=["reader"])
    async with load(envoy.port, HOST, path="/a", clients=2) as seen:
        for number in range(EDITS // TOGETHER):
            for _ in range(TOGETHER):
                write(running, *flat(next(made)))
                await asyncio.sleep(0)
            marker = f"{number}"
            write(running, "marker", route("marker", rule(prefix("/"), says=marker), hosts="marker.example.com"))
            await until(
                lambda: envoy.get("marker.example.com", **proof), lambda answer, want=marker: answer.body == want
            )
            if seen.answers[200]:
                break
    return seen.answers


def flat(step: tuple[str, list[Document]]) -> tuple[str, *tuple[Document, ...]]:
    name, documents = step
    return name, *documents


async def test_no_caller_without_a_token_is_served_while_policies_and_routes_change(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        envoy = await begin(running)
        seen = await edit(running, envoy)
        assert set(seen) == {401}
        assert seen[401] > EDITS


async def test_the_check_sees_a_build_that_lets_routes_weaken_what_they_inherit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(combination, "_weakness", lambda *_: "")
    async with gateway(tmp_path) as running:
        envoy = await begin(running)
        seen = await edit(running, envoy)
        assert seen[200] > 0
