"""etcd: what the API server remembers. On a Unix socket in the cluster's folder, so no port and no stranger."""

from __future__ import annotations

from pathlib import Path

from support.cluster.component import Component, accepts, options
from support.cluster.definition import Cluster
from support.tools import program

# Paths in the cluster's folder, where all components are started. etcd takes a socket's name for a host, which must
# have a port.
SOCKET = Path("etcd.socket:0")
CLIENT_URL = f"unix://{SOCKET}"
PEER_URL = "unix://etcd-peer.socket:0"


def component(cluster: Cluster) -> Component:
    """One member. Without fsync it is several times faster, and a power cut may cost the data of a test."""
    return Component(
        name="etcd",
        command=(
            str(program("etcd")),
            *options(
                name="etcd",
                data_dir=cluster.state / "etcd",
                listen_client_urls=CLIENT_URL,
                advertise_client_urls=CLIENT_URL,
                listen_peer_urls=PEER_URL,
                initial_advertise_peer_urls=PEER_URL,
                initial_cluster=f"etcd={PEER_URL}",
                unsafe_no_fsync=not cluster.fsync,
                quota_backend_bytes=4 << 30,
                log_level="warn",
            ),
        ),
        ready=lambda: accepts(cluster.state / SOCKET),
    )
