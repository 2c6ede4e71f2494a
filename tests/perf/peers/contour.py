"""Contour, with one Envoy beside it, for one Gateway ("static provisioning").

As in its examples (`examples/contour`, `examples/gateway`, https://projectcontour.io/docs/main/config/gateway-api/):
the configuration names the Gateway, certificates for xDS are of `contour certgen`, Envoy's bootstrap is of
`contour bootstrap`. Nothing is tuned.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import yaml

from support.conformance.preparation import module
from support.processes import free_ports
from support.tools import program, version_of

from . import world
from .peer import Peer, Setting, gateway_api

_NAME = "contour"


def _start(setting: Setting) -> None:
    # It holds its lease there.
    setting.kubectl("create", "namespace", "projectcontour")
    config, bootstrap, certificates = (setting.folder / each for each in ("contour.yaml", "envoy.json", "certificates"))
    config.write_text(
        yaml.safe_dump({"gateway": {"gatewayRef": {"name": world.GATEWAY, "namespace": world.NAMESPACE}}})
    )
    xds, health, metrics, debug, stats = free_ports(5)
    certificates.mkdir()
    _contour("certgen", "--pem", f"--kubeconfig={setting.cluster.kubeconfig}", str(certificates))
    _contour(
        "bootstrap",
        str(bootstrap),
        f"--admin-address={setting.folder}/envoy.admin.sock",
        "--xds-address=127.0.0.1",
        f"--xds-port={xds}",
        f"--resources-dir={setting.folder}/resources",
        f"--envoy-cafile={certificates}/cacert.pem",
        f"--envoy-cert-file={certificates}/envoycert.pem",
        f"--envoy-key-file={certificates}/envoykey.pem",
    )
    serve = [
        "serve",
        f"--kubeconfig={setting.cluster.kubeconfig}",
        f"--config-path={config}",
        "--xds-address=127.0.0.1",
        f"--xds-port={xds}",
        f"--contour-cafile={certificates}/cacert.pem",
        f"--contour-cert-file={certificates}/contourcert.pem",
        f"--contour-key-file={certificates}/contourkey.pem",
        f"--health-port={health}",
        f"--http-port={metrics}",
        f"--debug-http-port={debug}",
        f"--stats-port={stats}",
    ]
    setting.processes.run(_NAME, [str(program(_NAME)), *serve], {})
    setting.envoy("-c", str(bootstrap), "--service-cluster", "projectcontour", "--service-node", "envoy")


def _contour(*arguments: str) -> None:
    done = subprocess.run([program(_NAME), *arguments], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"contour {arguments[0]} failed: {done.stderr.strip()}")


def _definitions() -> list[Path]:
    theirs = module("github.com/projectcontour/contour", "contour") / "examples/contour/01-crds.yaml"
    return [*gateway_api("contour", "experimental"), theirs]


def _listens(port: int) -> int:
    """Envoy listens 8000 above a Gateway's port, on the far side of 65535 where that is beyond it."""
    return port - 8000 if port > 1023 + 8000 else port - 8000 + 65535


CONTOUR = Peer(
    name=_NAME,
    controller="projectcontour.io/gateway-controller",
    control=_NAME,
    version=lambda: version_of(_NAME),
    definitions=_definitions,
    start=_start,
    listens=_listens,
)
