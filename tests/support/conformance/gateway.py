"""The gateway that the suite judges: an operator and one Envoy on this machine, an address for each Gateway.

In: a running cluster. Out: the addresses. Called by the command of conformance. The addresses are those of the
cluster's network that are meant for load balancers; while this runs they are this machine's.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from fastforward_operator.kubernetes import rbac

from support.cluster.definition import Cluster
from support.cluster.images import load_archive
from support.cluster.kubectl import Kubectl
from support.cluster.outside import as_service
from support.envoy import start_envoy
from support.images.build import RECIPES, build
from support.processes import free_port

START_S = 60.0
STOP_S = 10.0


@dataclass(frozen=True, slots=True)
class Serving:
    """What the suite is told."""

    usable: str
    """An address that a Gateway may ask for."""
    unusable: str


@contextlib.contextmanager
def serving_by_pods(cluster: Cluster, kubeconfig: Path, folder: Path) -> Generator[Serving]:
    """The same with the proxies of each Gateway in pods, which the operator on this machine runs."""
    for recipe in RECIPES:
        if recipe.name in ("envoy", "entrypoint"):
            load_archive(cluster, build(recipe))
    network, port, service = cluster.network, free_port(), "conformance-operator"
    kubectl = Kubectl(cluster.kubeconfig)
    kubectl.apply(*as_service(service, rbac.NAMESPACE, network.at("0.1"), port))
    images = {recipe.name: recipe.image for recipe in RECIPES}
    more = {
        "FF_XDS_ADDRESS": f"{network.at('0.1')}:{port}",
        "FF_XDS_TLS": "true",
        "FF_ENVOY_IMAGE": images["envoy"],
        "FF_DECISION_IMAGE": images["entrypoint"],
        "FF_IMAGE_PULL_POLICY": "Never",
        "FF_OPERATOR_SERVICE": service,
    }
    operator = start_operator(kubeconfig, folder, f"{network.at('192.10')}-{network.at('192.250')}", more)
    try:
        yield Serving(usable=network.at("192.240"), unusable="192.0.2.1")
    finally:
        operator.terminate()
        operator.wait(STOP_S)
        keep(folder / "operator.log")


@contextlib.contextmanager
def serving(cluster: Cluster, kubeconfig: Path, folder: Path) -> Generator[Serving]:
    """While it runs Gateways have addresses, and Envoy listens there."""
    network = cluster.network
    block = network.at("192.0") + "/24"
    subprocess.run(["ip", "route", "replace", "local", block, "dev", "lo"], check=True)
    operator = start_operator(kubeconfig, folder, f"{network.at('192.10')}-{network.at('192.250')}")
    envoy = start_envoy("envoy", folder / "envoy", xds_socket=folder / "state" / "xds.sock", port=0)
    try:
        wait_for(folder / "state" / "xds.sock", operator)
        yield Serving(usable=network.at("192.240"), unusable="192.0.2.1")
    finally:
        envoy.stop()
        operator.terminate()
        operator.wait(STOP_S)
        subprocess.run(["ip", "route", "del", "local", block, "dev", "lo"], check=False)
        for log in (folder / "operator.log", folder / "envoy" / "envoy.log"):
            keep(log)


def start_operator(
    kubeconfig: Path, folder: Path, pool: str, more: Mapping[str, str] = MappingProxyType({})
) -> subprocess.Popen[bytes]:
    """A process of its own."""
    settings = {
        "FF_PROVIDER": "kubernetes",
        "FF_KUBECONFIG": str(kubeconfig),
        "FF_SECRETS": "all",
        "FF_GATEWAY_ADDRESSES": pool,
        "FF_STATE_DIR": str(folder / "state"),
        "FF_API_PORT": str(free_port()),
        "FF_ACCESS_LOG": "/dev/stdout" if more else str(folder / "access.log"),
        **more,
    }
    with (folder / "operator.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "fastforward_operator"],
            env={**os.environ, **settings},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def wait_for(socket: Path, operator: subprocess.Popen[bytes]) -> None:
    """Until the operator listens; fails when it has ended."""
    deadline = time.monotonic() + START_S
    while not socket.exists():
        assert operator.poll() is None, "the operator has ended"
        assert time.monotonic() < deadline, "the operator does not listen"
        time.sleep(0.1)


def keep(log: Path) -> None:
    """What a process wrote, for who looks after a failure."""
    folder = os.environ.get("CONFORMANCE_LOGS")
    if folder is not None and log.exists():
        (Path(folder) / log.name).write_bytes(log.read_bytes())
