"""What the API server knows of the webhook: which kinds it asks about, what a silent webhook means, whom to believe.

In: a namespace; the authority's bundle. Out: the ValidatingWebhookConfiguration; and, from the leader, its caBundle,
kept current. `document` is called by generate, and by whoever installs the operator. Source: "Dynamic Admission
Control" in Kubernetes' documentation.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import fastforward_crds as crds
import structlog

from .authority import Authority
from .client import ApiError, Client

_log = structlog.get_logger(__name__)

NAME = "fastforward"
SERVICE = "fastforward-webhook"
PATH = "/validate"
NEEDED = f"needs-a-running-operator.{crds.GROUP}"
"""The API server quotes this name when nobody answers."""
WELCOME = f"judged-by-a-running-operator.{crds.GROUP}"
SECURITY = frozenset({"AuthPolicy", "RateLimit", "Tenant", "Shard", "Edge"})
"""Kinds that nobody may change unjudged; Routes and Upstreams go on while the operator is away."""
OFF = f"{crds.GROUP}/admission"
"""A namespace with this label and the value `off` is not asked about."""
TIMEOUT_S = 3
CHECK_S = 5.0
_CONDITIONS = [
    {
        "name": "says-something-new",
        "expression": "request.operation == 'CREATE' || !has(object.spec) || !has(oldObject.spec)"
        " || object.spec != oldObject.spec",
    },
    {"name": "is-to-stay", "expression": "!has(object.metadata.deletionTimestamp)"},
]


def document(namespace: str, bundle: str = "") -> dict[str, Any]:
    """The configuration for the operators of a namespace; without a bundle the leader puts it in."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": NAME},
        "webhooks": [
            _webhook(NEEDED, SECURITY, "Fail", namespace, bundle),
            _webhook(WELCOME, frozenset(kind.name for kind in crds.KINDS) - SECURITY, "Ignore", namespace, bundle),
        ],
    }


def _webhook(name: str, kinds: frozenset[str], policy: str, namespace: str, bundle: str) -> dict[str, Any]:
    service = {"name": SERVICE, "namespace": namespace, "path": PATH, "port": 443}
    rule = {
        "apiGroups": [crds.GROUP],
        "apiVersions": [crds.VERSION],
        "operations": ["CREATE", "UPDATE"],
        # Not RESOURCE/status: the operator's own writes ask nobody.
        "resources": sorted(crds.PLURALS[kind] for kind in kinds),
        "scope": "Namespaced",
    }
    return {
        "name": name,
        "clientConfig": {"service": service, **({"caBundle": _encoded(bundle)} if bundle else {})},
        "rules": [rule],
        "failurePolicy": policy,
        "matchPolicy": "Equivalent",
        "matchConditions": _CONDITIONS,
        "namespaceSelector": {"matchExpressions": [{"key": OFF, "operator": "NotIn", "values": ["off"]}]},
        "sideEffects": "None",
        "timeoutSeconds": TIMEOUT_S,
        "admissionReviewVersions": ["v1"],
    }


@dataclass(slots=True)
class Announcer:
    """Tells the API server whom to believe; the leader's alone does."""

    client: Client
    authority: Authority
    leads: Callable[[], bool]
    name: str = NAME
    fault: str = ""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Until cancelled."""
        self.authority.on_change.append(self._changed.set)
        await self.authority.ready.wait()
        while True:
            self._changed.clear()
            try:
                await self.announce()
                self.fault = ""
            except (ApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
                fault = str(error) or type(error).__name__
                if fault != self.fault:
                    _log.error("webhook configuration", error=fault)
                self.fault = fault
            # One that leads from now on announces now: until then the API server takes nothing that needs a verdict.
            settled = self.leads() and not self.fault
            try:
                async with asyncio.timeout(CHECK_S if settled else 1.0):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def announce(self) -> None:
        """Put the bundle where another one is. Raises as Client."""
        if not self.leads():
            return
        path = f"/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/{self.name}"
        found = await self.client.read(path)
        bundle = _encoded(self.authority.bundle)
        ours = [each for each in (found or {}).get("webhooks") or () if each["name"] in (NEEDED, WELCOME)]
        stale = [each["name"] for each in ours if each["clientConfig"].get("caBundle") != bundle]
        if stale:
            await self.client.apply(path, _bundles(self.name, [each["name"] for each in ours], bundle), self.leads)
            _log.info("webhook configuration has the authority's bundle", webhooks=stale)


def _bundles(configuration: str, names: list[str], bundle: str) -> Mapping[str, Any]:
    """Server-side apply of nothing but the bundles."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": configuration},
        "webhooks": [{"name": name, "clientConfig": {"caBundle": bundle}} for name in names],
    }


def _encoded(pem: str) -> str:
    return base64.b64encode(pem.encode()).decode()
