"""Names and labels of what is made for an Edge or a Workload. Called by edge and workload."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastforward_compiler.ir import GATEWAY, pods_name, shortened
from fastforward_compiler.problem import ObjectRef

MANAGED = {"app.kubernetes.io/managed-by": "fastforward", "app.kubernetes.io/part-of": "fastforward"}
"""On all that the operator makes; by these labels it finds what is to go."""
COMPONENT = "app.kubernetes.io/component"
EDGE = "gateway.fastforward.dev/edge"
OWNER = "gateway.fastforward.dev/owner"
"""Label by which the objects that were made for one Edge or Workload are found."""
GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"
_MAX_LABEL = 63


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Of the objects made for one Edge or Workload."""

    component: str
    """`envoy`, `decision`, `stages` or `ingress`."""
    owner: str
    """NAMESPACE/NAME, as in ir."""

    @property
    def base(self) -> str:
        """Of the Deployment, the Service and so on."""
        return pods_name(self.component, self.owner)

    @property
    def secret(self) -> str:
        """Of the Secret that holds the certificate."""
        return f"{self.base}-tls"

    @property
    def selector(self) -> dict[str, str]:
        """By which pods are found."""
        return {COMPONENT: self.component, OWNER: owner_label(self.owner)}

    @property
    def labels(self) -> dict[str, str]:
        """On every object."""
        named = {"app.kubernetes.io/name": f"fastforward-{self.component}", "app.kubernetes.io/instance": self.base}
        return {**named, **MANAGED, **self.selector, **self._of_gateway}

    @property
    def _of_gateway(self) -> dict[str, str]:
        """What others find the objects of a Gateway by (GEP-1762)."""
        _, _, name = self.owner.partition("/")
        if not name.endswith(GATEWAY):
            return {}
        plain = name.removesuffix(GATEWAY)
        return {GATEWAY_NAME: plain if len(plain) <= _MAX_LABEL else shortened(plain, self.owner, _MAX_LABEL)}

    def metadata(self, namespace: str, name: str = "") -> dict[str, Any]:
        """As every object has it."""
        return {"name": name or self.base, "namespace": namespace, "labels": self.labels}


def owner_of(ref: ObjectRef) -> str:
    """What is made for an object is named after it."""
    return f"{ref.namespace}/{ref.name}{GATEWAY if ref.kind == 'Gateway' else ''}"


def owner_label(owner: str) -> str:
    """NAMESPACE/NAME as the value of a label: at most 63 characters, and neither slash nor tilde."""
    return shortened(owner.replace("/", ".").replace("~", "."), owner, _MAX_LABEL)
