"""What runs in a cluster, in the order in which it starts."""

from __future__ import annotations

from support.cluster import apiserver, containerd, controllers, etcd, kubelet, proxy, scheduler
from support.cluster.component import Component
from support.cluster.definition import Cluster

LIGHT = (
    etcd.component,
    apiserver.component,
    controllers.component,
)

NODE = (
    etcd.component,
    containerd.component,
    apiserver.component,
    controllers.component,
    scheduler.component,
    kubelet.component,
    proxy.component,
)


def components(cluster: Cluster) -> tuple[Component, ...]:
    """Each of them made for this cluster."""
    return tuple(make(cluster) for make in (LIGHT if cluster.light else NODE))
