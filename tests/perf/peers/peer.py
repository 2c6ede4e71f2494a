"""A gateway that is measured, as values: who it is, and how it is started over an API server.

Made by fastforward, traefik, contour, envoy_gateway; called by probe.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fastforward_operator.supervisor.envoy import find_envoy

from perf.standalone import ENVOY, Standalone
from support.cluster.definition import Cluster
from support.cluster.kubectl import Kubectl
from support.conformance.preparation import module

QUIET = ("--concurrency", "1", "-l", "error", "--disable-hot-restart")
"""Of every Envoy, whoever configures it: one worker, as many as every other has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What there is when a peer is started: an API server with the definitions, the Gateway and the Services."""

    cluster: Cluster
    kubectl: Kubectl
    processes: Standalone
    folder: Path
    port: int
    """Where 127.0.0.1 must answer."""

    def envoy(self, *arguments: str) -> None:
        """The Envoy that all have, with these arguments."""
        self.processes.run(ENVOY, [str(find_envoy()), *arguments, *QUIET], {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One of them."""

    name: str
    controller: str
    """Of the GatewayClass."""
    control: str
    """The process that reads the API server."""
    has_envoy: bool = True
    """Otherwise its control plane serves by itself."""
    version: Callable[[], str]
    definitions: Callable[[], Sequence[Path]]
    """Files or folders of definitions: Gateway API at the version that it is made for, and kinds of its own."""
    start: Callable[[Setting], None]
    """Returns when its processes run, ready or not."""
    listens: Callable[[int], int] = lambda port: port
    """The port of the Gateway's listener for which it listens on this port."""


def gateway_api(pinned_by: str, channel: str) -> list[Path]:
    """The definitions of Gateway API at the version that a module in `tools/` pins."""
    folder = module("sigs.k8s.io/gateway-api", pinned_by) / "config/crd" / channel
    return sorted(folder.glob("gateway.networking.k8s.io_*.yaml"))
