"""What makes a process a node: namespaces of its own for processes, mounts, network and host name.

In: a cluster. Out: the command that enters the namespaces, and what is done inside before the first component starts
and after the last has ended. All that containerd, the kubelet and kube-proxy do to a machine - mounts, interfaces,
iptables rules, kernel settings, files below /var and /run - they do to the node, and the kernel undoes it when the
node's first process ends. Only control groups are the machine's: see cgroups.py.
"""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

from support.cluster.definition import NODE_NAME, Cluster

# `--kill-child`: whoever kills the outer process ends the node.
ENTER = ("unshare", "--mount", "--net", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc")
LINK_SECONDS = 20.0
# The kubelet sets these for the whole machine, whose they are: it gets files of its own instead.
MACHINE_SETTINGS = (
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
)
# Real folders of the cluster at the paths where the components expect theirs: containers' overlays can't lie on one.
FOLDERS = {"containerd": "/var/lib/containerd", "kubelet": "/var/lib/kubelet"}


def prepare(cluster: Cluster) -> None:
    """Called by the supervisor as process 1 of the new namespaces."""
    run("hostname", NODE_NAME)
    run("mount", "--make-rshared", "/")
    mount_own_folders(cluster.state)
    mount_own_settings(cluster.state)
    join_network(cluster)


def mount_own_folders(state: Path) -> None:
    """/run is empty; /var is the machine's to read, and the node's own to write."""
    run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    upper, work = state / "var", state / "var-work"
    for folder in (upper, work):
        folder.mkdir()
    run("mount", "-t", "overlay", "-o", f"lowerdir=/var,upperdir={upper},workdir={work}", "overlay", "/var")
    for name, path in FOLDERS.items():
        (state / name).mkdir()
        Path(path).mkdir(parents=True, exist_ok=True)
        run("mount", "--bind", str(state / name), path)
        # Without this, every mount below would appear a second time, below the cluster's folder.
        run("mount", "--make-private", path)
        run("mount", "--make-shared", path)


def mount_own_settings(state: Path) -> None:
    """Files in the place of kernel settings that have no namespace."""
    for setting in MACHINE_SETTINGS:
        real = Path("/proc/sys", setting)
        own = state / "settings" / setting
        own.parent.mkdir(parents=True, exist_ok=True)
        own.write_text(real.read_text())
        run("mount", "--bind", str(own), str(real))


def join_network(cluster: Cluster) -> None:
    """Waits for the link that `up` makes, and takes the node's address on it."""
    deadline = time.monotonic() + LINK_SECONDS
    while not has_link():
        assert time.monotonic() < deadline, "nobody linked this node to the machine"
        time.sleep(0.02)
    for command in (
        ("link", "set", "lo", "up"),
        ("addr", "add", f"{cluster.network.node}/30", "dev", "eth0"),
        ("link", "set", "eth0", "up"),
        ("route", "add", "default", "via", cluster.network.machine),
        # An address that no pod and no Service has would otherwise travel to and fro on the link.
        ("route", "add", "unreachable", cluster.network.whole),
        # What the node itself sends to a Service, as the API server to a webhook, is looked up before kube-proxy
        # gives it the address of a pod.
        ("route", "add", cluster.network.services, "dev", "eth0"),
    ):
        run("ip", *command)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def leave() -> None:
    """Removes the link, both ends of it: the kernel may keep a network for minutes after its last process."""
    run("ip", "link", "delete", "eth0")


def has_link() -> bool:
    """Whether eth0 is there."""
    shown = subprocess.run(["ip", "-json", "link"], check=True, capture_output=True, text=True).stdout
    return any(link["ifname"] == "eth0" for link in json.loads(shown))


def run(*command: str) -> None:
    """What it complains of goes to the supervisor's log."""
    subprocess.run(command, check=True)
