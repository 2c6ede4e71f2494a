"""Envoy Gateway, with one Envoy beside it.

As its chart installs it (https://gateway.envoyproxy.io/docs/install/install-helm/), nothing tuned: `certgen` makes the
certificates, and the control plane is run in a folder of its own as its root, because it reads /certs and /config as in
its image. It makes a Deployment for the Gateway, whose pod nothing runs here; the Envoy is started with the bootstrap
of that Deployment, its paths and the name of the control plane made those of this machine. The injector of zones, for
pods alone, is off; Envoys have one worker as all others have.
"""

from __future__ import annotations

import base64
import itertools
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import yaml

from support.cluster.kubectl import Kubectl
from support.conformance.preparation import module
from support.processes import free_ports
from support.tools import program, version_of

from . import world
from .peer import Peer, Setting

_NAME = "envoy-gateway"
_NAMESPACE = "envoy-gateway-system"
_OWNED = f"gateway.envoyproxy.io/owning-gateway-name={world.GATEWAY}"
_MADE_S = 60.0
_TAKEN = (19000, 19001)
"""Ports of Envoy's administration and statistics; the control plane, in another pod as a rule, has the same."""
_CONFIG = {
    "apiVersion": "gateway.envoyproxy.io/v1alpha1",
    "kind": "EnvoyGateway",
    "gateway": {"controllerName": "gateway.envoyproxy.io/gatewayclass-controller"},
    "provider": {"type": "Kubernetes", "kubernetes": {"proxyTopologyInjector": {"disabled": True}}},
    "logging": {"level": {"default": "info"}},
    # Nothing gives out addresses for Services of the type LoadBalancer here.
    "envoyProxy": {"provider": {"type": "Kubernetes", "kubernetes": {"envoyService": {"type": "ClusterIP"}}}},
}


def _start(setting: Setting) -> None:
    setting.kubectl("create", "namespace", _NAMESPACE)
    settings = {"KUBECONFIG": str(setting.cluster.kubeconfig), "ENVOY_GATEWAY_NAMESPACE": _NAMESPACE}
    command = [program(_NAME), "certgen", "--disable-topology-injector"]
    done = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"envoy-gateway certgen failed: {done.stdout.strip()} {done.stderr.strip()}")
    root = _root(setting)
    serve = ["chroot", str(root), f"/{_NAME}", "server", "--config-path=/config/envoy-gateway.yaml"]
    setting.processes.run(_NAME, serve, {**settings, "KUBECONFIG": "/kubeconfig"})
    _start_envoy(setting, _arguments(setting))


def _root(setting: Setting) -> Path:
    """What its pod would find in its image and volumes."""
    root = setting.folder / _NAME
    for each in ("config", "tmp", "var/lib/eg/wasm"):
        (root / each).mkdir(parents=True)
    shutil.copy(program(_NAME), root / _NAME)
    shutil.copy(setting.cluster.kubeconfig, root / "kubeconfig")
    (root / "config/envoy-gateway.yaml").write_text(yaml.safe_dump(_CONFIG))
    _secret(setting.kubectl, _NAME, root / "certs")
    return root


def _secret(kubectl: Kubectl, name: str, folder: Path) -> None:
    """Writes what a Secret of its namespace holds."""
    folder.mkdir(parents=True)
    for key, value in kubectl.get("secret", name, "-n", _NAMESPACE)["data"].items():
        (folder / key).touch(mode=0o600)
        (folder / key).write_bytes(base64.b64decode(value))


def _arguments(setting: Setting) -> dict[str, str]:
    """Of the Envoy in the Deployment that it makes, once it is there: names and values."""
    until = time.monotonic() + _MADE_S
    while not (found := _owned(setting.kubectl, "deployments")):
        if time.monotonic() > until:
            raise RuntimeError(
                f"no Deployment of an Envoy within {_MADE_S:g} s: {setting.processes.log(_NAME)[-2000:]}"
            )
        time.sleep(0.2)
    containers = found[0]["spec"]["template"]["spec"]["containers"]
    given = next(each["args"] for each in containers if each["name"] == "envoy")
    return {name: value for name, value in itertools.pairwise(given) if name.startswith("--")}


def _owned(kubectl: Kubectl, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = kubectl.get(kind, "-n", _NAMESPACE, "-l", _OWNED)["items"]
    return found


def _start_envoy(setting: Setting, arguments: dict[str, str]) -> None:
    folder = setting.folder / "envoy"
    _secret(setting.kubectl, "envoy", folder / "certs")
    (folder / "sds").mkdir()
    for config in _owned(setting.kubectl, "configmaps"):
        for name, text in config["data"].items():
            (folder / "sds" / name).write_text(text.replace("/certs/", f"{folder}/certs/"))
    bootstrap = arguments["--config-yaml"].replace("/sds/", f"{folder}/sds/").replace("$(ENVOY_SERVICE_ZONE)", "")
    here = bootstrap.replace(f"{_NAME}.{_NAMESPACE}.svc.cluster.local.", "127.0.0.1")
    for port, free in zip(_TAKEN, free_ports(len(_TAKEN)), strict=True):
        here = here.replace(f"port_value: {port}\n", f"port_value: {free}\n")
    (folder / "bootstrap.yaml").write_text(here)
    cluster = arguments["--service-cluster"]
    setting.envoy("-c", str(folder / "bootstrap.yaml"), "--service-cluster", cluster, "--service-node", "envoy-1")


def _definitions() -> list[Path]:
    """Those of its chart, which has those of Gateway API too."""
    theirs = module("github.com/envoyproxy/gateway", _NAME) / "charts/gateway-helm/charts/crds/crds"
    return [theirs / "gatewayapi-crds.yaml", theirs / "generated"]


ENVOY_GATEWAY = Peer(
    name=_NAME,
    controller="gateway.envoyproxy.io/gatewayclass-controller",
    control=_NAME,
    version=lambda: version_of(_NAME),
    definitions=_definitions,
    start=_start,
)
