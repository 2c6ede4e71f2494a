"""kube-scheduler: which node a pod gets, which is always the one there is, when its requests fit."""

from __future__ import annotations

from support.cluster.component import Component, options
from support.cluster.definition import Cluster
from support.tools import program


def component(cluster: Cluster) -> Component:
    """Alone, so it takes the lead without asking."""
    config = cluster.pki("scheduler.kubeconfig")
    return Component(
        name="kube-scheduler",
        command=(
            str(program("kube-scheduler")),
            *options(
                kubeconfig=config,
                authentication_kubeconfig=config,
                authorization_kubeconfig=config,
                secure_port=0,
                leader_elect=False,
                profiling=False,
            ),
        ),
    )
