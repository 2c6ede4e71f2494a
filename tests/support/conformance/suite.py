"""The suite itself: which profiles, which features, where its report goes.

In: a cluster, the gateway that is judged. Out: the exit code, and with a folder a report. Called by the command of
conformance. Claimed are the features that the operator itself lists in the status of its GatewayClass.
"""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

from fastforward_compiler.translate.gatewayapi.features import FEATURES

from support.cluster.definition import Cluster
from support.conformance.gateway import Serving
from support.conformance.preparation import CLASS
from support.tools import program

PROFILES = ("GATEWAY-HTTP", "GATEWAY-GRPC", "GATEWAY-TLS", "GATEWAY-TCP", "GATEWAY-UDP")
EXPERIMENTAL = frozenset({"HTTPRouteRetry", "HTTPRouteRetryBackendTimeout", "HTTPRouteRetryConnectionError"})
"""Features that no definitions have but those of the experimental channel."""


def claimed(channel: str) -> frozenset[str]:
    """The features that the definitions of a channel have room for."""
    return FEATURES - EXPERIMENTAL if channel == "standard" else FEATURES


def run(
    cluster: Cluster,
    gateway: Serving,
    *,
    features: Iterable[str] = FEATURES,
    only: str = "",
    report: Path | None = None,
    debug: bool = False,
) -> int:
    """Returns the exit code of the suite, which tells on standard output what it sees."""
    options = {
        "gateway-class": CLASS,
        "conformance-profiles": ",".join(PROFILES),
        "supported-features": ",".join(sorted(features)),
        "usable-address": gateway.usable,
        "unusable-address": gateway.unusable,
        "kubeconfig": str(cluster.kubeconfig),
        "organization": "fastforward",
        "project": "fastforward",
        "url": "https://fastforward.dev",
        "version": importlib.metadata.version("fastforward-operator"),
        "contact": "https://fastforward.dev",
        # Tests that grant and tests that see that nothing is granted would otherwise meet in one namespace.
        "disable-parallel-tests": "true",
    }
    if only:
        options["run-test"] = only
    if debug:
        options["debug"] = "true"
    if report is not None:
        report.parent.mkdir(parents=True, exist_ok=True)
        options["report-output"] = str(report)
    command = [str(program("gateway-api-conformance.test")), "-test.v", "-test.timeout=2h"]
    command += [f"-{name}={value}" for name, value in options.items()]
    return subprocess.run(command, check=False, env={**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}).returncode
