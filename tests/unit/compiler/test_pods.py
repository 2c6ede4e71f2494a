"""What is made for a Gateway where its proxies are pods."""

from __future__ import annotations

from typing import Any

from fastforward_compiler import ir
from fastforward_compiler.emit.kubernetes import PodSettings, emit_edge

PODS = PodSettings(namespace="fastforward-system", envoy_image="envoy:1", decision_image="decision:1")
STREAM = ir.Stream(shares=())


def made(edge: ir.Edge) -> dict[str, Any]:
    return {document["kind"]: document for document in emit_edge(edge, PODS)}


def test_a_number_is_one_port_of_tcp_and_one_of_udp() -> None:
    listeners = (
        ir.Listener(name="port-53", port=53, stream=STREAM),
        ir.Listener(name="udp-53", port=53, transport="UDP", stream=STREAM),
    )
    documents = made(ir.Edge(name="shop/public~gateway", hosts=(), listeners=listeners))
    ports = documents["Service"]["spec"]["ports"]
    assert [(each["name"], each["port"], each["protocol"]) for each in ports] == [
        ("p53", 53, "TCP"),
        ("udp-53", 53, "UDP"),
    ]
    (envoy, _) = documents["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert [(each["name"], each["containerPort"], each["protocol"]) for each in envoy["ports"]] == [
        ("p53", 53, "TCP"),
        ("udp-53", 53, "UDP"),
    ]
