"""An Edge to the Envoys that serve it: Deployment, Service, PodDisruptionBudget, ServiceAccount; traefik adds a front.

In: ir.Edge, PodSettings. Out: documents. Called by the operator. Envoy gets its bootstrap as an argument, and all else
from the operator. Beside it runs a companion (fastforward_kit.companion): it answers probes, and when the pod ends it
has Envoy drain and holds it back from ending before. Ports below 1024 are bound without privileges, by a kernel setting
of the pod's own network.
"""

from __future__ import annotations

import math
import re

from fastforward_compiler import ir
from fastforward_compiler.emit.envoy import Peer, Trust, bootstrap

from .names import EDGE, Names, owner_label
from .pod import (
    RUN_FOLDER,
    Document,
    container_security,
    deployment,
    disruption_budget,
    folder,
    from_field,
    http_get,
    resources,
    service_account,
    tls_mount,
    tls_volume,
)
from .settings import ANYWHERE, DECISION_PORT, PROBE_PORT, TLS_FOLDER, PodSettings
from .traefik import emit_traefik
from .workload import workload_names

_ADMIN = f"{RUN_FOLDER}/admin.sock"
_REQUESTS = {"cpu": "250m", "memory": "128Mi"}
_COMPANION_REQUESTS = {"requests": {"cpu": "10m", "memory": "48Mi"}, "limits": {"memory": "128Mi"}}
_DOMAIN = re.compile(r"^([^/]+\.)?(kubernetes|k8s)\.io/")
_ZONE = "topology.kubernetes.io/zone"
"""Label of nodes that Kubernetes copies to their pods (KEP-4742); the variable is empty where there is none."""
_MARGIN_S = 15
"""What ending a pod may take beyond draining."""
_FROZEN_GRACE_S = 5
"""What an Envoy may take to end that has not answered for a quarter of a minute: it does not drain either."""


def edge_names(edge: str) -> Names:
    """Names of what is made for an Edge."""
    return Names(component="envoy", owner=edge)


def emit_edge(edge: ir.Edge, settings: PodSettings) -> list[Document]:
    """Returns the objects, in the order in which they are applied; none for Envoys that somebody else runs."""
    if not edge.proxies.managed:
        return []
    names = edge_names(edge.name)
    found = [service_account(names, settings), _deployment(edge, names, settings)]
    if _ports(edge):
        found.append(_service(edge, names, settings))
    if edge.proxies.pods.replicas > 1:
        found.append(disruption_budget(names, settings))
    for document in found:
        _mark(document, edge.proxies)
    return found + emit_traefik(edge, names, settings)


def _mark(document: Document, proxies: ir.Proxies) -> None:
    """Writes the labels and annotations that a user wants on all that is made; ours stay, for we find things by them.

    Pods don't get annotations of Kubernetes' own: these may loosen what holds a pod, and are for the cluster to say.
    """
    metadata = document["metadata"]
    _add(metadata, proxies.labels, proxies.shared_annotations)
    if document["kind"] == "Deployment":
        harmless = tuple(each for each in proxies.shared_annotations if not _DOMAIN.search(each[0]))
        _add(document["spec"]["template"]["metadata"], proxies.labels, harmless)


def _add(metadata: Document, labels: tuple[tuple[str, str], ...], annotations: tuple[tuple[str, str], ...]) -> None:
    metadata["labels"] = {**dict(labels), **metadata["labels"]}
    wanted = {**dict(annotations), **metadata.get("annotations", {})}
    if wanted:
        metadata["annotations"] = wanted


def _deployment(edge: ir.Edge, names: Names, settings: PodSettings) -> Document:
    pod = {
        "terminationGracePeriodSeconds": settings.drain_s + _MARGIN_S,
        "securityContext": {"sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]},
        "containers": [_envoy(edge, settings), _companion(settings)],
        "volumes": [tls_volume(names), folder("run", "1Mi", memory=True)],
    }
    made = deployment(names, settings, edge.proxies.pods, pod)
    for labelled in (made["metadata"], made["spec"]["template"]["metadata"]):
        labelled["labels"] = {**labelled["labels"], EDGE: owner_label(edge.name)}
    return made


def _envoy(edge: ir.Edge, settings: PodSettings) -> Document:
    return {
        "name": "envoy",
        "image": settings.envoy_image,
        "imagePullPolicy": settings.pull_policy,
        "args": [
            *("--config-yaml", _bootstrap(edge, settings)),
            *("--service-node", "$(POD_NAME)"),
            *("--concurrency", str(_threads(edge.proxies.pods))),
            *("--drain-time-s", str(settings.drain_s)),
            # Each connection ends with its next answer: gradually, one that is used seldom would be there to the end.
            *("--drain-strategy", "immediate"),
            *("--log-level", "warning"),
            # The access log: ten seconds otherwise, and what an Envoy that is killed had not written yet is lost.
            *("--file-flush-interval-msec", "1000"),
            "--disable-hot-restart",
        ],
        "env": [from_field("POD_NAME", "metadata.name"), from_field("POD_ZONE", f"metadata.labels['{_ZONE}']")],
        "ports": [
            {"name": _port_name(port, transport), "containerPort": port, "protocol": transport}
            for port, transport in _ports(edge)
        ],
        "resources": resources(edge.proxies.pods, _REQUESTS),
        "securityContext": container_security(),
        "startupProbe": http_get("/envoy/live", periodSeconds=1, failureThreshold=60),
        "readinessProbe": http_get("/envoy/ready", periodSeconds=1, failureThreshold=2, timeoutSeconds=2),
        "livenessProbe": http_get(
            "/envoy/live",
            periodSeconds=5,
            failureThreshold=3,
            timeoutSeconds=5,
            terminationGracePeriodSeconds=_FROZEN_GRACE_S,
        ),
        # Returns when the companion has seen Envoy without requests.
        "lifecycle": {"preStop": {"httpGet": {"path": "/envoy/drained", "port": PROBE_PORT}}},
        "volumeMounts": [tls_mount(), {"name": "run", "mountPath": RUN_FOLDER}],
    }


def _ports(edge: ir.Edge) -> list[tuple[int, str]]:
    return list(edge.held_ports) or [
        (listener.port, transport) for listener in edge.listeners for transport in listener.transports
    ]


def _port_name(port: int, transport: str) -> str:
    """The same number may be a port of TCP and one of UDP."""
    return f"udp-{port}" if transport == "UDP" else f"p{port}"


def _companion(settings: PodSettings) -> Document:
    variables = {
        "FF_COMPANION_ADMIN": _ADMIN,
        "FF_COMPANION_LISTEN": f"{ANYWHERE}:{PROBE_PORT}",
        "FF_COMPANION_DRAIN_SECONDS": str(settings.drain_s),
    }
    return {
        "name": "companion",
        "image": settings.decision_image,
        "imagePullPolicy": settings.pull_policy,
        "command": ["/app/bin/python", "-m", "fastforward_kit.companion"],
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "ports": [{"name": "probes", "containerPort": PROBE_PORT, "protocol": "TCP"}],
        "resources": _COMPANION_REQUESTS,
        "securityContext": container_security(),
        "livenessProbe": http_get("/healthz", periodSeconds=10, failureThreshold=3),
        "volumeMounts": [{"name": "run", "mountPath": RUN_FOLDER}],
    }


def _bootstrap(edge: ir.Edge, settings: PodSettings) -> str:
    decision = edge.proxies.decision or settings.decision or edge.name.removesuffix(ir.GATEWAY)
    namespace, _, name = decision.partition("/")
    uri = f"spiffe://fastforward/ns/{namespace}/workload/{name}"
    return bootstrap(
        node_id="",
        node_cluster=edge.name,
        xds=(settings.operator_name, settings.operator_port),
        admin=f"unix:{_ADMIN}",
        decisions=((f"{workload_names(decision).base}.{settings.namespace}.svc", DECISION_PORT),),
        trust=Trust(folder=TLS_FOLDER, operator=Peer(dns=settings.operator_name), decisions=Peer(uri=uri)),
        zone="$(POD_ZONE)",
    )


def _threads(pods: ir.Pods) -> int:
    """As many as cores that the pod may take; Envoy would take the node's for its own."""
    cpu = dict(pods.limits).get("cpu", "2")
    cores = int(cpu[:-1]) / 1000 if cpu.endswith("m") else float(cpu)
    return max(1, math.ceil(cores))


def _service(edge: ir.Edge, names: Names, settings: PodSettings) -> Document:
    """Without ports there can be none: a Gateway may have no listener that can be used."""
    proxies = edge.proxies
    spec: Document = {
        "type": proxies.service_type,
        "selector": names.selector,
        "ports": [
            {
                "name": _port_name(port, transport),
                "port": port,
                "targetPort": port,
                "protocol": transport,
            }
            for port, transport in _ports(edge)
        ],
    }
    if proxies.service_type != "ClusterIP":
        spec["externalTrafficPolicy"] = proxies.external_traffic_policy
    if edge.addresses:
        # Given to the edge by the operator's own pool: whatever comes there is for its proxies.
        spec["externalIPs"] = list(edge.addresses)
    if proxies.service_type == "LoadBalancer" and proxies.load_balancer_class:
        spec["loadBalancerClass"] = proxies.load_balancer_class
    metadata = names.metadata(settings.namespace)
    metadata["labels"] = {**metadata["labels"], EDGE: owner_label(edge.name)}
    if proxies.annotations:
        metadata["annotations"] = dict(proxies.annotations)
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
