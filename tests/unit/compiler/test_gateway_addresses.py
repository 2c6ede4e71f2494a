"""Addresses of a Gateway: those of the pool are its proxies', by others the cluster leads to them."""

from __future__ import annotations

import json

import fastforward_crds as crds
import pytest
from fastforward_compiler import Compiler, object_ref
from fastforward_compiler.problem import ObjectRef
from fastforward_compiler.translate.gatewayapi.section import ADDRESSES

from support.gatewayapi import gateway, gateway_class, listener

PUBLIC = ObjectRef(kind="Gateway", namespace="default", name="public")


@pytest.mark.parametrize(
    ("told", "own"),
    [
        ({"addresses": ["192.0.2.1"]}, ("192.0.2.1",)),
        ({"addresses": ["192.0.2.1"], "of": "cluster"}, ()),
        ({"addresses": ["lb-1.example.com"], "of": "cluster"}, ()),
    ],
    ids=["pool", "address of the cluster", "host name of the cluster"],
)
def test_what_the_cluster_gave_is_told_and_is_not_for_the_service_to_claim(
    told: dict[str, object], own: tuple[str, ...]
) -> None:
    compiler = Compiler()
    given = {ADDRESSES: b'{"listen": true}', f"{ADDRESSES}default/public": json.dumps(told).encode()}
    values = [crds.parse_resource(each) for each in (gateway_class(), gateway(listener(80)))]
    compiler.apply({object_ref(value): value for value in values}, given)
    (edge,) = compiler.snapshot().edges
    assert edge.addresses == own
    report = compiler.reports()[PUBLIC]
    assert [*report.addresses] == told["addresses"]
    assert "Programmed" not in {each.type for each in report.verdicts}
