"""What runs in a cluster, in the order in which it starts."""

from __future__ import annotations

from support.cluster import apiserver, controllers, etcd
from support.cluster.component import Component
from support.cluster.definition import Cluster

LIGHT = (
    etcd.component,
    apiserver.component,
    controllers.component,
)


def components(cluster: Cluster) -> tuple[Component, ...]:
    """Each of them made for this cluster."""
    return tuple(make(cluster) for make in LIGHT)
