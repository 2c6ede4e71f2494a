"""From a supervisor that has just been started to a cluster that can be used: the steps, read top to bottom.

In: a cluster. Out: for each step what `up` does once, what must become true within how long, and what it then says.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.cluster import apiserver, containerd, dns
from support.cluster.component import accepts
from support.cluster.definition import NODE_NAME, Cluster
from support.cluster.images import load
from support.cluster.kubectl import Kubectl
from support.cluster.network import link
from support.cluster.process import is_alive, node_pid

CONNECT_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """`holds` is asked again and again until it is true; then `do` is done, and `says` printed."""

    holds: Callable[[Cluster], bool]
    says: str
    seconds: float
    do: Callable[[Cluster], None] | None = None


def steps(cluster: Cluster) -> tuple[Step, ...]:
    """Those of a light cluster or of one with a node. With the first one the cluster's network is taken."""
    return LIGHT if cluster.light else NODE


def has_namespaces(cluster: Cluster) -> bool:
    """Whether the node's first process is there, in a network that is not the machine's."""
    pid = node_pid(cluster)
    return pid is not None and network_of(pid) != network_of("self")


def network_of(pid: int | str) -> Path:
    """Which network a process is in."""
    return Path(f"/proc/{pid}/ns/net").readlink()


def link_node(cluster: Cluster) -> None:
    """The one pair of interfaces between the node and the machine."""
    pid = node_pid(cluster)
    assert pid is not None
    link(cluster.network, pid, cluster.mark)


def load_images(cluster: Cluster) -> None:
    """What every node needs."""
    for image in (containerd.pause_image(), dns.image()):
        load(cluster, image)


def deploy_dns(cluster: Cluster) -> None:
    """CoreDNS."""
    kubectl(cluster).apply(*dns.manifests(cluster))


def node_is_ready(cluster: Cluster) -> bool:
    """Whether the kubelet says so: the container runtime and its network work."""
    return has_condition(cluster, ("node", NODE_NAME), "Ready")


def dns_is_available(cluster: Cluster) -> bool:
    """Whether the Deployment says so."""
    return has_condition(cluster, ("deployment", dns.NAME, "--namespace", dns.NAMESPACE), "Available")


def dns_is_reached(cluster: Cluster) -> bool:
    """Whether a connection from this machine by the Service's address comes to the pod."""
    try:
        with socket.create_connection((cluster.network.dns, 53), timeout=CONNECT_SECONDS):
            return True
    except OSError:
        return False


def has_condition(cluster: Cluster, which: tuple[str, ...], condition: str) -> bool:
    """Whether the object is there and has this condition."""
    done = kubectl(cluster).run("get", *which, "-o", "json")
    if done.returncode != 0:
        return False
    conditions: list[dict[str, Any]] = json.loads(done.stdout).get("status", {}).get("conditions", [])
    return any(each["type"] == condition and each["status"] == "True" for each in conditions)


def kubectl(cluster: Cluster) -> Kubectl:
    """The administrator's."""
    return Kubectl(cluster.kubeconfig)


LIGHT = (
    Step(holds=is_alive, says="etcd and the API server are starting", seconds=10),
    Step(holds=apiserver.is_ready, says="the API server is ready", seconds=90),
)

NODE = (
    Step(holds=has_namespaces, do=link_node, says="the node has its namespaces and a link to this machine", seconds=10),
    Step(
        holds=lambda cluster: accepts(cluster.containerd_socket),
        do=load_images,
        says="containerd runs and has the images of the cluster's own pods",
        seconds=30,
    ),
    Step(holds=apiserver.is_ready, do=deploy_dns, says="the API server is ready", seconds=90),
    Step(holds=node_is_ready, says="the node is ready", seconds=60),
    Step(holds=dns_is_available, says="CoreDNS is available", seconds=60),
    Step(holds=dns_is_reached, says="pods and Services are reached from this machine", seconds=20),
)
