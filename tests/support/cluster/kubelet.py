"""kubelet: makes the node's pods be what the API server says."""

from __future__ import annotations

from pathlib import Path

import yaml

from support.cluster.component import Component, options
from support.cluster.definition import NODE_NAME, Cluster
from support.tools import program

ROOT = Path("/var/lib/kubelet")
NEVER = "0%"


def component(cluster: Cluster) -> Component:
    """Known to the API server by the node's own certificate."""
    config = cluster.state / "kubelet.yaml"
    config.write_text(yaml.safe_dump(configuration(cluster), sort_keys=False))
    return Component(
        name="kubelet",
        command=(
            str(program("kubelet")),
            *options(
                config=config,
                kubeconfig=cluster.pki("node.kubeconfig"),
                root_dir=ROOT,
                cert_dir=ROOT / "pki",
                hostname_override=NODE_NAME,
                node_ip=cluster.network.node,
            ),
        ),
    )


def configuration(cluster: Cluster) -> dict[str, object]:
    """As kubeadm would have it, but for a machine that also does other work: nothing is evicted, no image removed."""
    resolver = cluster.state / "resolv.conf"
    resolver.touch()
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": cluster.network.node,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(cluster.pki("ca.crt"))},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(cluster.pki("kubelet.crt")),
        "tlsPrivateKeyFile": str(cluster.pki("kubelet.key")),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cluster.mark}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDNS": [cluster.network.dns],
        "clusterDomain": "cluster.local",
        "resolvConf": str(resolver),
        "containerRuntimeEndpoint": f"unix://{cluster.containerd_socket}",
        "evictionHard": {"imagefs.available": NEVER, "nodefs.available": NEVER, "nodefs.inodesFree": NEVER},
        "imageGCHighThresholdPercent": 100,
        "localStorageCapacityIsolation": False,
        "maxPods": 200,
        "volumePluginDir": str(ROOT / "volume-plugins"),
    }
