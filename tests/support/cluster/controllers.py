"""kube-controller-manager: service accounts, garbage collection, the end of namespaces, Deployments and endpoints."""

from __future__ import annotations

from support.cluster.component import Component, options
from support.cluster.definition import Cluster
from support.tools import program


def component(cluster: Cluster) -> Component:
    """Alone, so it takes the lead without asking."""
    config = cluster.pki("controllers.kubeconfig")
    return Component(
        name="kube-controller-manager",
        command=(
            str(program("kube-controller-manager")),
            *options(
                kubeconfig=config,
                authentication_kubeconfig=config,
                authorization_kubeconfig=config,
                bind_address="127.0.0.1",
                secure_port=0,
                leader_elect=False,
                use_service_account_credentials=True,
                service_account_private_key_file=cluster.pki("service-accounts.key"),
                root_ca_file=cluster.pki("ca.crt"),
                cluster_signing_cert_file=cluster.pki("ca.crt"),
                cluster_signing_key_file=cluster.pki("ca.key"),
                allocate_node_cidrs=not cluster.light,
                cluster_cidr=cluster.network.pods,
                profiling=False,
            ),
        ),
    )
