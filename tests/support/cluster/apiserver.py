"""kube-apiserver: the one that everybody talks to. Certificates for everyone, RBAC, and webhooks as in production."""

from __future__ import annotations

import http.client
import ssl

import yaml

from support.cluster.component import Component, options
from support.cluster.definition import Cluster
from support.cluster.etcd import CLIENT_URL
from support.tools import program

ISSUER = "https://kubernetes.default.svc.cluster.local"
PROBE_SECONDS = 2.0


def component(cluster: Cluster) -> Component:
    """Listens on the cluster's address alone."""
    admission = cluster.state / "admission.yaml"
    admission.write_text(yaml.safe_dump(webhooks(cluster)))
    return Component(
        name="kube-apiserver",
        command=(
            str(program("kube-apiserver")),
            *serving(cluster),
            *identities(cluster),
            *options(
                etcd_servers=CLIENT_URL,
                service_cluster_ip_range=cluster.network.services,
                authorization_mode="Node,RBAC",
                enable_admission_plugins="NodeRestriction",
                admission_control_config_file=admission,
                allow_privileged=True,
                profiling=False,
            ),
        ),
        ready=lambda: is_ready(cluster),
    )


def serving(cluster: Cluster) -> tuple[str, ...]:
    """Where it listens and by which certificate clients know it."""
    return options(
        bind_address=cluster.address,
        advertise_address=cluster.network.node,
        secure_port=cluster.api_port,
        cert_dir=cluster.state / "apiserver",
        tls_cert_file=cluster.pki("apiserver.crt"),
        tls_private_key_file=cluster.pki("apiserver.key"),
    )


def identities(cluster: Cluster) -> tuple[str, ...]:
    """Whom it believes, and who it is to kubelets and to API servers behind it."""
    return options(
        client_ca_file=cluster.pki("ca.crt"),
        service_account_issuer=ISSUER,
        service_account_key_file=cluster.pki("service-accounts.pub"),
        service_account_signing_key_file=cluster.pki("service-accounts.key"),
        kubelet_certificate_authority=cluster.pki("ca.crt"),
        kubelet_client_certificate=cluster.pki("apiserver.crt"),
        kubelet_client_key=cluster.pki("apiserver.key"),
        kubelet_preferred_address_types="InternalIP",
        requestheader_client_ca_file=cluster.pki("ca.crt"),
        requestheader_allowed_names="front-proxy",
        requestheader_username_headers="X-Remote-User",
        requestheader_group_headers="X-Remote-Group",
        requestheader_extra_headers_prefix="X-Remote-Extra-",
        proxy_client_cert_file=cluster.pki("front-proxy.crt"),
        proxy_client_key_file=cluster.pki("front-proxy.key"),
    )


def webhooks(cluster: Cluster) -> dict[str, object]:
    """It shows every webhook a certificate, so that a webhook can refuse everybody else."""
    config = cluster.pki("webhooks.users")
    user = {"client-certificate": str(cluster.pki("webhooks.crt")), "client-key": str(cluster.pki("webhooks.key"))}
    config.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "users": [{"name": "*", "user": user}]}))
    made = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "WebhookAdmissionConfiguration",
        "kubeConfigFile": str(config),
    }
    plugins = ("ValidatingAdmissionWebhook", "MutatingAdmissionWebhook")
    return {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AdmissionConfiguration",
        "plugins": [{"name": plugin, "configuration": made} for plugin in plugins],
    }


def is_ready(cluster: Cluster) -> bool:
    """Whether it says so itself, to the administrator."""
    try:
        context = ssl.create_default_context(cafile=str(cluster.pki("ca.crt")))
        context.load_cert_chain(cluster.pki("admin.crt"), cluster.pki("admin.key"))
        connection = http.client.HTTPSConnection(
            cluster.address, cluster.api_port, timeout=PROBE_SECONDS, context=context
        )
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        finally:
            connection.close()
    except (OSError, http.client.HTTPException):
        return False
