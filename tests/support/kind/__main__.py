"""`make kind-up` and `make kind-down`: what kind itself does not do, and in which order.

In: `cluster.yaml` beside this file. Out: a running cluster with a registry at localhost:5001 that its nodes pull from.
Called by the Makefile. Both may be called any number of times. The programs `docker`, `kind` and `kubectl` are yours.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import yaml

CONFIG = Path(__file__).with_name("cluster.yaml")
CLUSTER = "fastforward"
NETWORK = "kind"
REGISTRY = "fastforward-registry"
REGISTRY_IMAGE = "registry:2"
REGISTRY_PORT = 5001
PROGRAMS = ("docker", "kind", "kubectl")


class KindError(Exception):
    """The cluster can't be had; the text is a sentence for people."""


def up() -> None:
    """Each step first looks whether it has been done."""
    start_registry()
    create_cluster()
    join_registry_to_network()
    for node in nodes():
        point_to_registry(node)
    tell_where_registry_is()
    print(f"\nkubectl config use-context kind-{CLUSTER}")
    print(f"Push images to localhost:{REGISTRY_PORT}/NAME:TAG, and name them so in pods.")


def down() -> None:
    """The nodes, the registry and the images in it."""
    run("kind", "delete", "cluster", "--name", CLUSTER)
    if asks("docker", "container", "inspect", REGISTRY):
        run("docker", "rm", "--force", "--volumes", REGISTRY)


def start_registry() -> None:
    """For this machine alone."""
    if asks("docker", "container", "inspect", REGISTRY):
        run("docker", "start", REGISTRY)
        return
    port = f"127.0.0.1:{REGISTRY_PORT}:5000"
    run("docker", "run", "--detach", "--restart=always", "--publish", port, "--name", REGISTRY, REGISTRY_IMAGE)


def create_cluster() -> None:
    """Waits until its control plane is ready."""
    if CLUSTER not in run("kind", "get", "clusters").split():
        run("kind", "create", "cluster", "--config", str(CONFIG), "--wait", "120s")


def join_registry_to_network() -> None:
    """So that nodes know it by its name."""
    joined = run("docker", "inspect", "--format", "{{json .NetworkSettings.Networks}}", REGISTRY)
    if f'"{NETWORK}"' not in joined:
        run("docker", "network", "connect", NETWORK, REGISTRY)


def nodes() -> list[str]:
    """The names of the nodes' containers."""
    return run("kind", "get", "nodes", "--name", CLUSTER).split()


def point_to_registry(node: str) -> None:
    """`localhost` in an image's name means this machine, not the node that pulls it."""
    folder = f"/etc/containerd/certs.d/localhost:{REGISTRY_PORT}"
    run("docker", "exec", node, "mkdir", "-p", folder)
    hosts = f'[host."http://{REGISTRY}:5000"]\n'
    run("docker", "exec", "--interactive", node, "cp", "/dev/stdin", f"{folder}/hosts.toml", stdin=hosts)


def tell_where_registry_is() -> None:
    """In the place where tools look for it (KEP-1755)."""
    hosting = yaml.safe_dump({"host": f"localhost:{REGISTRY_PORT}"})
    document = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "local-registry-hosting", "namespace": "kube-public"},
        "data": {"localRegistryHosting.v1": hosting},
    }
    context = f"--context=kind-{CLUSTER}"
    run("kubectl", context, "apply", "--server-side", "-f", "-", stdin=yaml.safe_dump(document))


def run(*command: str, stdin: str = "") -> str:
    """What it printed; raises KindError with what it complained of."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise KindError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def asks(*command: str) -> bool:
    """Whether it says yes."""
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def main(command: str) -> int:
    """Returns the exit code."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    try:
        if missing:
            raise KindError(f"Not installed: {', '.join(missing)}. Without Docker, run make cluster-up.")
        (up if command == "up" else down)()
    except KindError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
