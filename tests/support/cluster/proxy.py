"""kube-proxy: Services' addresses, as iptables rules in the node's own network."""

from __future__ import annotations

from support.cluster.component import Component, options
from support.cluster.definition import NODE_NAME, Cluster
from support.tools import program


def component(cluster: Cluster) -> Component:
    """The size of the connection table belongs to the whole machine, so it is left alone."""
    return Component(
        name="kube-proxy",
        command=(
            str(program("kube-proxy")),
            *options(
                kubeconfig=cluster.pki("proxy.kubeconfig"),
                proxy_mode="iptables",
                cluster_cidr=cluster.network.pods,
                hostname_override=NODE_NAME,
                conntrack_max_per_core=0,
            ),
        ),
    )
