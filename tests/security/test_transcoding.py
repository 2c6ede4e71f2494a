"""A rule that makes calls of JSON for one service opens no way to the others behind the same upstream."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import pytest
from fastforward_compiler.emit.envoy import admission
from fastforward_compiler.emit.envoy.rbac import header_matches
from fastforward_pipeline.stages import transcoding

from security.deployment import HOST, Deployment, Pairs, deploying
from support.called_shop import SERVICE, CalledShop, called_shop, shop_schema
from support.resources import prefix, route, rule, upstream

KINDS = (
    "application/grpc",
    "application/grpc+proto",
    "application/grpc;charset=utf-8",
    "Application/GRPC",
    "application/grpc-web",
    "application/grpc-web-text",
)
TARGETS = (f"/{SERVICE}/PlaceAll", f"/{SERVICE}/PlaceAll?a=b", f"//{SERVICE}/PlaceAll", f"/x/../{SERVICE}/PlaceAll")


@contextmanager
def deployed(shop: CalledShop) -> Generator[Deployment]:
    transcode = {"schema": {"name": "shop"}, "services": ["shop.v1.Other"], "allMethods": True}
    with deploying(
        shop_schema(),
        upstream("calls", shop.port, protocol="GRPC"),
        route("shop", rule(prefix("/"), to="calls", transcode=transcode), hosts=HOST),
        edge_spec={"grpc": {"web": True, "transcoding": True}},
    ) as running:
        assert running.problems == ()
        yield running


def passed(deployment: Deployment, shop: CalledShop) -> int:
    """How many attacks call the method, or would by the evaluator: as calls themselves, and as JSON."""
    allowed = 0
    for target in TARGETS:
        for kind in (*KINDS, "application/json"):
            headers: Pairs = (("content-type", kind), ("te", "trailers"))
            deployment.get(target, headers, method="POST")
            deployment.get2(target, headers, method="POST")
            if kind != "application/json":
                allowed += deployment.judge(target, headers, method="POST").decision.allowed
    deployment.get("/batches", (("content-type", "application/json"),), method="POST")
    return len(shop.received) + allowed


@pytest.fixture
def shop() -> Generator[CalledShop]:
    with called_shop() as running:
        yield running


def test_no_other_service_is_called(shop: CalledShop) -> None:
    with deployed(shop) as deployment:
        assert passed(deployment, shop) == 0


def test_the_check_sees_a_build_whose_proxy_lets_calls_pass(shop: CalledShop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "_IS_CALL", header_matches("content-type", "nothing"))
    with deployed(shop) as broken:
        assert passed(broken, shop) > 0
    assert shop.received


def test_the_check_sees_a_build_whose_evaluator_lets_calls_pass(
    shop: CalledShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcoding, "CALL", "nothing")
    with deployed(shop) as broken:
        assert passed(broken, shop) > 0
    assert not shop.received
