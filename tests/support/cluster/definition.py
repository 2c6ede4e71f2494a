"""What a cluster is: its folder, its addresses and how it keeps its data; written down where the supervisor reads it.

In: what `up` was asked for. Out: `Cluster`, the one argument of every component. Nothing here starts anything.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from support.cluster.network import Network

FILE = "cluster.json"
NODE_NAME = "node-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """`light`: an API server without a node. `fsync`: whether etcd waits for the disk. `lease`: a file whose shared
    lock the users of the cluster hold; when nobody holds it any more, the cluster ends.
    """

    state: Path
    light: bool
    network: Network
    api_port: int = 6443
    fsync: bool = False
    lease: Path | None = None

    @property
    def address(self) -> str:
        """Where the API server listens."""
        return "127.0.0.1" if self.light else self.network.node

    @property
    def url(self) -> str:
        """The API server."""
        return f"https://{self.address}:{self.api_port}"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.state / "kubeconfig"

    @property
    def containerd_socket(self) -> Path:
        """For `ctr` and the kubelet."""
        return self.state / "containerd.sock"

    @property
    def mark(self) -> str:
        """A name that no other cluster has: of the control group above all pods, and of the link to the machine."""
        return f"fastforward-{hashlib.sha256(str(self.state).encode()).hexdigest()[:8]}"

    def pki(self, name: str) -> Path:
        """A key or certificate."""
        return self.state / "pki" / name

    def log(self, component: str) -> Path:
        """What a component wrote."""
        return self.state / "log" / f"{component}.log"


def write(cluster: Cluster) -> None:
    """Write the definition into the cluster's folder."""
    fields = asdict(cluster)
    fields["network"] = cluster.network.number
    (cluster.state / FILE).write_text(json.dumps(fields, default=str))


def read(state: Path) -> Cluster | None:
    """The cluster that has this folder, running or not; None when there is none."""
    try:
        fields = json.loads((state / FILE).read_text())
    except FileNotFoundError:
        return None
    lease = fields["lease"]
    return Cluster(
        state=Path(fields["state"]),
        light=fields["light"],
        network=Network(fields["network"]),
        api_port=fields["api_port"],
        fsync=fields["fsync"],
        lease=Path(lease) if lease else None,
    )


def default_state() -> Path:
    """The folder of the cluster that `make cluster-up` starts."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("FASTFORWARD_CLUSTER") or Path(base) / "fastforward/cluster").resolve()
