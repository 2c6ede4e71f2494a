"""containerd: runs the pods' containers with runc and joins each pod to the network with Debian's CNI plugins.

A pod has a link of its own to the node (`ptp`), not a port on a bridge: traffic between two pods passes the node's
routing, where kube-proxy's rules apply, whether or not the kernel hands bridged packets to them.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from support.cluster.component import Component, accepts
from support.cluster.definition import Cluster
from support.cluster.images import Image, with_libraries

PAUSE_IMAGE = "fastforward.local/pause:1"
PLUGINS = Path("/usr/lib/cni")
CONFIG = """\
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs"]

[grpc]
  address = "{socket}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{networks}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"""


def component(cluster: Cluster) -> Component:
    """Ready when it accepts connections."""
    config = cluster.state / "containerd.toml"
    networks = cluster.state / "networks"
    config.write_text(
        CONFIG.format(socket=cluster.containerd_socket, pause=PAUSE_IMAGE, plugins=PLUGINS, networks=networks)
    )
    networks.mkdir(exist_ok=True)
    (networks / "pods.conflist").write_text(json.dumps(pod_network(cluster)))
    return Component(
        name="containerd",
        command=(shutil.which("containerd") or "containerd", "--config", str(config)),
        ready=lambda: accepts(cluster.containerd_socket),
    )


def pause_image() -> Image:
    """What holds a pod's network while its containers come and go: a process that waits."""
    files = with_libraries({"/bin/sleep": Path("/bin/sleep")})
    return Image(name=PAUSE_IMAGE, files=files, entrypoint=("/bin/sleep", "infinity"))


def pod_network(cluster: Cluster) -> dict[str, object]:
    """Addresses from the node's range, a default route by the node, ports of the node for those who ask."""
    addresses = {"type": "host-local", "ranges": [[{"subnet": cluster.network.pods_of_node}]]}
    link = {"type": "ptp", "ipam": {**addresses, "routes": [{"dst": "0.0.0.0/0"}]}, "mtu": 1500}
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [link, ports]}
