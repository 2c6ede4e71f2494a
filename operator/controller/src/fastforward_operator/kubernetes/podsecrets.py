"""Which Secrets of the operator's namespace the pods of a Workload may have.

In: ir.Workload, Secrets and Deployments as the API server has them. Out: whether it may. Called by dataplane before it
applies pods, and by lookout, which tells what is missing. Who writes a Workload names Secrets of a namespace that need
not be his, and says where pods send them: he gets those that are for him, and learns nothing of the others, not even
whether they are there. The operator's own are for nobody: who has them can be anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastforward_compiler import ir
from fastforward_compiler.emit.kubernetes import MANAGED, secrets_of, stores_of

from . import authority
from .client import Client
from .kinds import collection

Document = Mapping[str, Any]

WORKLOADS = "gateway.fastforward.dev/workloads"
"""Annotation of a Secret: which Workloads of other namespaces may have it, as `team-a/decision, team-b/*`."""
_MANAGED_BY = "app.kubernetes.io/managed-by"
_KEPT_TYPES = frozenset({"helm.sh/release.v1", "kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token"})
"""Of Secrets that tools and Kubernetes keep for themselves."""
_CERTIFICATE = "tls"
"""The volume with what was made for the pods themselves."""


def is_kept(secret: Document) -> bool:
    """Whether it is the operator's own, or what others keep beside it: no Workload may have it."""
    metadata = secret["metadata"]
    ours = (metadata.get("labels") or {}).get(_MANAGED_BY) == MANAGED[_MANAGED_BY]
    return ours or metadata["name"] == authority.NAME or secret.get("type", "") in _KEPT_TYPES


def is_for(workload: str, secret: Document) -> bool:
    """Whether a Workload may have it: one of the Secret's own namespace, or one that the Secret names."""
    if is_kept(secret):
        return False
    metadata = secret["metadata"]
    namespace, _, _ = workload.partition("/")
    named = {each.strip() for each in (metadata.get("annotations") or {}).get(WORKLOADS, "").split(",")}
    return namespace == metadata["namespace"] or not named.isdisjoint({workload, f"{namespace}/*"})


def is_as_before(workload: ir.Workload, wanted: Document, found: Document) -> bool:
    """Whether pods of the Deployment that is wanted have no Secret but what those of the one that is there have, and
    send none elsewhere.
    """
    containers = found["spec"]["template"]["spec"]["containers"]
    told = {each["name"]: each.get("value") for container in containers for each in container.get("env") or ()}
    return _volumes(wanted).items() <= _volumes(found).items() and stores_of(workload).items() <= told.items()


def held_by(deployment: Document) -> set[str]:
    """The Secrets that pods were given, besides the one that was made for them."""
    return set(_volumes(deployment).values())


def _volumes(deployment: Document) -> dict[str, str]:
    """Those by their volumes."""
    volumes = deployment["spec"]["template"]["spec"].get("volumes") or ()
    given = {each["name"]: each["secret"]["secretName"] for each in volumes if "secret" in each}
    return {name: secret for name, secret in given.items() if name != _CERTIFICATE}


@dataclass(frozen=True, slots=True)
class PodSecrets:
    """Those of the namespace of the pods."""

    client: Client
    namespace: str

    async def read(self, name: str) -> Document | None:
        """One; None when it is not there. Raises as Client does."""
        return await self.client.read(f"{collection('v1', 'Secret', self.namespace)}/{name}")

    async def find_others(self, workload: ir.Workload) -> list[Document | None]:
        """Those that it names and that are not for it; None for one that is not there. Raises as Client does."""
        found = [await self.read(name) for name in sorted({name for _, (name, _) in secrets_of(workload)})]
        return [each for each in found if each is None or not is_for(workload.name, each)]

    async def find_kept(self, deployment: Document) -> str | None:
        """The name of one that its pods have and may not; None for none. Raises as Client does."""
        for name in sorted(held_by(deployment)):
            found = await self.read(name)
            if found is not None and is_kept(found):
                return name
        return None
