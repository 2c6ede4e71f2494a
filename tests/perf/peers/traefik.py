"""Traefik, which serves by itself: its memory and processor time are those of both planes.

The configuration is that of its pages, nothing tuned:
https://doc.traefik.io/traefik/reference/install-configuration/providers/kubernetes/kubernetes-gateway/
Among its defaults is `providers.providersThrottleDuration` of 2 s: a change that follows another waits so long.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from .peer import Peer, Setting, gateway_api

_PROGRAM = Path(sys.executable).with_name("traefik")


def _start(setting: Setting) -> None:
    command = [
        str(_PROGRAM),
        # The listener of a Gateway is served by the entry point of the same port.
        f"--entrypoints.web.address=127.0.0.1:{setting.port}",
        "--providers.kubernetesgateway=true",
        "--providers.kubernetesgateway.statusaddress.ip=127.0.0.1",
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
        "--log.level=ERROR",
    ]
    # "When deployed into Kubernetes, Traefik reads KUBERNETES_SERVICE_HOST or KUBECONFIG" (the same page).
    setting.processes.run(TRAEFIK.control, command, {"KUBECONFIG": str(setting.cluster.kubeconfig)})


def _version() -> str:
    said = subprocess.run([_PROGRAM, "version"], capture_output=True, text=True, check=True).stdout
    return re.findall(r"^Version:\s*(\S+)", said, re.MULTILINE)[0]


TRAEFIK = Peer(
    name="traefik",
    controller="traefik.io/gateway-controller",
    control="traefik",
    has_envoy=False,
    version=_version,
    definitions=lambda: gateway_api("gateway-api", "standard"),
    start=_start,
)
