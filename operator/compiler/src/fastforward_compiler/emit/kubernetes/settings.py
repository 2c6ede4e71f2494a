"""What depends on the installation, and on nothing that users write."""

from __future__ import annotations

from dataclasses import dataclass

from fastforward_compiler import ir
from fastforward_compiler.emit.envoy import TLS_FOLDER

ANYWHERE = "0.0.0.0"  # noqa: S104 - a pod has a network of its own
DECISION_PORT = ir.REQUESTS_PORT
PROBE_PORT = ir.PROBE_PORT
__all__ = ["ANYWHERE", "DECISION_PORT", "PROBE_PORT", "TLS_FOLDER", "PodSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PodSettings:
    """Where pods run, from which images, and whom they ask."""

    namespace: str
    envoy_image: str
    decision_image: str
    """Also of the companion that runs beside each Envoy."""
    pull_policy: str = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()
    operator_host: str = "fastforward-operator"
    """Name of the operator's Service, in the namespace of the pods."""
    operator_port: int = 18000
    decision: str = ""
    """Name of the Workload that decides for Gateways and for Edges that name none; empty for that of their own name."""
    otlp_endpoint: str = ""
    """Base URL of the collector that decision services tell of traces; none when empty."""
    drain_s: int = 30
    """How long requests under way may take when a pod ends."""

    @property
    def operator_name(self) -> str:
        """The operator's DNS name, as it stands in its certificate."""
        return f"{self.operator_host}.{self.namespace}.svc"
