"""What is made for a Gateway where its proxies are pods."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastforward_compiler import ir
from fastforward_compiler.emit.kubernetes import PodSettings, emit_edge, emit_workload

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


def test_decision_services_are_told_of_a_collector_where_there_is_one() -> None:
    workload = ir.Workload(name="shop/decision", pods=ir.Pods())

    def told(settings: PodSettings) -> dict[str, str]:
        made = {each["kind"]: each for each in emit_workload(workload, settings)}
        [container] = made["Deployment"]["spec"]["template"]["spec"]["containers"]
        return {each["name"]: each.get("value", "") for each in container["env"]}

    assert "FF_ENTRYPOINT_OTLP_ENDPOINT" not in told(PODS)
    collector = "http://otel.data.svc:4318"
    assert told(replace(PODS, otlp_endpoint=collector))["FF_ENTRYPOINT_OTLP_ENDPOINT"] == collector


MARKED = ir.Proxies(
    labels=(("app.kubernetes.io/component", "mine"), ("team", "books")),
    shared_annotations=(
        ("container.apparmor.security.beta.kubernetes.io/envoy", "unconfined"),
        ("example.com/owner", "books"),
        ("k8s.io/x", "y"),
    ),
    annotations=(("example.com/owner", "the service's"),),
)


def test_labels_and_annotations_are_on_all_that_is_made() -> None:
    listeners = (ir.Listener(name="port-80", port=80),)
    documents = made(ir.Edge(name="shop/public~gateway", hosts=(), listeners=listeners, proxies=MARKED))
    assert documents.keys() == {"ServiceAccount", "Deployment", "Service", "PodDisruptionBudget"}
    template = documents["Deployment"]["spec"]["template"]
    for labelled in (*documents.values(), template):
        labels = labelled["metadata"]["labels"]
        assert labels["team"] == "books"
        assert labels["gateway.networking.k8s.io/gateway-name"] == "public"
        assert labels["app.kubernetes.io/component"] == "envoy"
    for kind in ("ServiceAccount", "Deployment", "PodDisruptionBudget"):
        assert documents[kind]["metadata"]["annotations"] == dict(MARKED.shared_annotations)
    assert documents["Service"]["metadata"]["annotations"]["example.com/owner"] == "the service's"
    assert documents["Service"]["metadata"]["annotations"]["k8s.io/x"] == "y"


def test_annotations_of_kubernetes_own_loosen_no_pod() -> None:
    documents = made(ir.Edge(name="shop/public~gateway", hosts=(), listeners=(), proxies=MARKED))
    template = documents["Deployment"]["spec"]["template"]
    assert template["metadata"]["annotations"] == {"example.com/owner": "books"}


def test_the_name_of_a_gateway_is_a_label_however_long() -> None:
    names = {"public": "public", "p" * 63: "p" * 63}
    for name, label in names.items():
        documents = made(ir.Edge(name=f"shop/{name}~gateway", hosts=(), listeners=()))
        assert documents["ServiceAccount"]["metadata"]["labels"]["gateway.networking.k8s.io/gateway-name"] == label
    two = [
        made(ir.Edge(name=f"{namespace}/{'p' * 64}~gateway", hosts=(), listeners=()))["Deployment"]
        for namespace in ("a", "b")
    ]
    labels = {each["metadata"]["labels"]["gateway.networking.k8s.io/gateway-name"] for each in two}
    assert [len(label) for label in labels] == [63, 63]


def test_an_edge_is_no_gateway() -> None:
    documents = made(ir.Edge(name="shop/public", hosts=(), listeners=()))
    assert "gateway.networking.k8s.io/gateway-name" not in documents["Deployment"]["metadata"]["labels"]
    assert "annotations" not in documents["Deployment"]["metadata"]
