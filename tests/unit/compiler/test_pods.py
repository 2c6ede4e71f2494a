"""What is made for a Gateway where its proxies are pods."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from fastforward_compiler import ir
from fastforward_compiler.emit.kubernetes import PodSettings, emit_edge, emit_workload
from fastforward_entrypoint.settings import Settings

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


def test_an_envoy_learns_its_zone_from_a_label_of_its_pod() -> None:
    documents = made(ir.Edge(name="shop/public", hosts=(), listeners=()))
    (envoy, _) = documents["Deployment"]["spec"]["template"]["spec"]["containers"]
    paths = {each["name"]: each["valueFrom"]["fieldRef"]["fieldPath"] for each in envoy["env"]}
    assert paths["POD_ZONE"] == "metadata.labels['topology.kubernetes.io/zone']"
    # Kubernetes puts the variable's value there, which is empty where there is no such label.
    boots = json.loads(envoy["args"][envoy["args"].index("--config-yaml") + 1])
    assert boots["node"]["locality"] == {"zone": "$(POD_ZONE)"}


def test_http3_is_a_port_of_udp_beside_the_one_of_tcp() -> None:
    secure = ir.Listener(name="secure", port=443, http3=True)
    documents = made(ir.Edge(name="shop/public", hosts=(), listeners=(secure,)))
    ports = [(each["name"], each["targetPort"], each["protocol"]) for each in documents["Service"]["spec"]["ports"]]
    assert ports == [("p443", 443, "TCP"), ("udp-443", 443, "UDP")]
    (envoy, _) = documents["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert [each["protocol"] for each in envoy["ports"]] == ["TCP", "UDP"]


def test_decision_services_are_told_of_a_collector_where_there_is_one() -> None:
    workload = ir.Workload(name="shop/decision", pods=ir.Pods())

    def told(settings: PodSettings) -> dict[str, str]:
        made = {each["kind"]: each for each in emit_workload(workload, settings)}
        [container] = made["Deployment"]["spec"]["template"]["spec"]["containers"]
        return {each["name"]: each.get("value", "") for each in container["env"]}

    assert "FF_ENTRYPOINT_OTLP_ENDPOINT" not in told(PODS)
    collector = "http://otel.data.svc:4318"
    assert told(replace(PODS, otlp_endpoint=collector))["FF_ENTRYPOINT_OTLP_ENDPOINT"] == collector


@pytest.mark.parametrize(
    ("limits", "requests"),
    [
        ({"cpu": "249m", "memory": "64Mi"}, {}),
        ({"cpu": "0.1", "memory": "134217727"}, {}),
        ({"cpu": "250m", "memory": "131072Ki"}, {"cpu": "250m", "memory": "128Mi"}),
        ({"cpu": "4", "memory": "1Gi"}, {"cpu": "250m", "memory": "128Mi"}),
        ({"memory": "100Mi"}, {"cpu": "250m"}),
    ],
)
def test_nothing_is_asked_for_above_a_limit(limits: dict[str, str], requests: dict[str, str]) -> None:
    pods = ir.Pods(limits=tuple(limits.items()))
    documents = made(ir.Edge(name="shop/public", hosts=(), listeners=(), proxies=ir.Proxies(pods=pods)))
    (envoy, _) = documents["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert envoy["resources"] == {"requests": requests, "limits": limits}


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


STORE = ir.Store(host="2001:db8::1", port=5671, username="ff", password=("p", "word"))
SECURED = replace(STORE, host="store.svc", tls=True, authority=("ca", "ca.crt"))


def environment_of(workload: ir.Workload) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Variables, Secrets by volume, and paths by volume."""
    made = {each["kind"]: each for each in emit_workload(workload, PODS)}
    pod = made["Deployment"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    secrets = {each["name"]: each["secret"]["secretName"] for each in pod["volumes"] if "secret" in each}
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"] if each["name"] in secrets}
    told = {each["name"].removeprefix("FF_ENTRYPOINT_"): each.get("value", "") for each in container["env"]}
    return told, secrets, mounts


def test_decision_services_find_their_stores_and_every_file_that_they_are_told_of() -> None:
    workload = ir.Workload(
        name="shop/decision",
        pods=ir.Pods(),
        postgresql=replace(SECURED, part="messages"),
        rabbitmq=replace(SECURED, part="shop"),
        seal=("seal", "key.json"),
    )
    told, secrets, mounts = environment_of(workload)
    trusted = "/etc/fastforward/rabbitmq-authority/ca.crt"
    assert told["RABBITMQ_URL"] == f"amqps://store.svc:5671/shop?cafile={trusted}"
    trusted = "/etc/fastforward/postgresql-authority/ca.crt"
    assert told["POSTGRESQL_URL"] == (f"postgresql://store.svc:5671/messages?sslmode=verify-full&sslrootcert={trusted}")
    assert (told["RABBITMQ_USERNAME"], told["RABBITMQ_PASSWORD_FILE"]) == ("ff", "/etc/fastforward/rabbitmq/word")
    assert (told["POSTGRESQL_USERNAME"], told["POSTGRESQL_PASSWORD_FILE"]) == ("ff", "/etc/fastforward/postgresql/word")
    assert told["SEAL_KEY_FILE"] == "/etc/fastforward/seal/key.json"
    assert {name: secret for name, secret in secrets.items() if name != "tls"} == {
        "seal": "seal",
        "postgresql": "p",
        "postgresql-authority": "ca",
        "rabbitmq": "p",
        "rabbitmq-authority": "ca",
    }
    assert mounts.keys() == secrets.keys()


def test_stores_without_tls_are_not_asked_for_proof_and_addresses_are_read_as_such() -> None:
    pods = ir.Pods()
    told, secrets, _ = environment_of(
        ir.Workload(name="shop/decision", pods=pods, postgresql=replace(STORE, part="m"), rabbitmq=STORE)
    )
    assert told["RABBITMQ_URL"] == "amqp://[2001:db8::1]:5671"
    assert told["POSTGRESQL_URL"] == "postgresql://[2001:db8::1]:5671/m?sslmode=disable"
    assert secrets.keys() == {"tls", "postgresql", "rabbitmq"}


def test_whoever_signed_is_known_to_the_system_where_nobody_is_named() -> None:
    known = replace(SECURED, authority=("", ""))
    told, _, _ = environment_of(
        ir.Workload(name="shop/decision", pods=ir.Pods(), postgresql=replace(known, part="m"), rabbitmq=known)
    )
    assert told["RABBITMQ_URL"] == "amqps://store.svc:5671"
    assert told["POSTGRESQL_URL"].endswith("?sslmode=verify-full&sslrootcert=system")


def test_what_pods_are_told_are_settings_that_entrypoint_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    workload = ir.Workload(
        name="shop/decision",
        pods=ir.Pods(),
        redis=ir.Redis(host="redis", port=6379, username="u", password=("r", "w")),
        postgresql=replace(SECURED, part="messages"),
        rabbitmq=STORE,
        seal=("seal", "key.json"),
    )
    told, _, _ = environment_of(workload)
    for name, value in {**told, "NODE": "decision-0"}.items():
        monkeypatch.setenv(f"FF_ENTRYPOINT_{name}", value)
    settings = Settings.model_validate({})
    assert settings.rabbitmq_url == told["RABBITMQ_URL"]
    assert {name.lower() for name in told} <= Settings.model_fields.keys()


def test_a_listener_that_cannot_be_served_for_now_keeps_its_port() -> None:
    plain, secure = ir.Listener(name="http", port=80), ir.Listener(name="https", port=443)
    whole = ir.Edge(name="shop/public", hosts=(), listeners=(secure, plain))
    lame = ir.Edge(name="shop/public", hosts=(), listeners=(plain,), held_ports=((443, "TCP"), (80, "TCP")))
    assert made(lame) == made(whole)


@pytest.mark.parametrize("name", ["public.v2", "public.v2~gateway", "p.q" * 60])
def test_what_is_made_for_an_object_with_dots_in_its_name_is_named_by_labels(name: str) -> None:
    edge = ir.Edge(name=f"shop/{name}", hosts=(), listeners=(ir.Listener(name="http", port=80),))
    documents = [*emit_edge(edge, PODS), *emit_workload(ir.Workload(name=f"shop/{name}", pods=ir.Pods()), PODS)]
    assert sum(each["kind"] == "Service" for each in documents) == 2
    for document in documents:
        # RFC 1123, as the API server asks of a Service.
        assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", document["metadata"]["name"])


def test_names_that_differ_in_signs_alone_stay_apart() -> None:
    same = ("shop/a-b", "shop/a.b", "shop-a/b", "shop/a-b~gateway", "shop/a-b-gateway")
    assert len({ir.pods_name("Decision", each) for each in same}) == len(same)
