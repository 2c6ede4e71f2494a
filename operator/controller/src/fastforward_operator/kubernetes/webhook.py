"""About which objects the API server asks the webhook, in two parts that differ in what happens while nobody answers.

In: our kinds. Out: rules of a ValidatingWebhookConfiguration. Called by generate, for the chart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import fastforward_crds as crds

SECURITY = frozenset({"AuthPolicy", "Edge", "RateLimit", "Shard", "Tenant"})
"""Kinds that decide who gets in, and how much of whom: better none of them changes than one that nobody judged."""


def webhook_rules() -> Mapping[str, list[dict[str, Any]]]:
    """The rules of both parts, by the name of the part. Statuses are the operator's own, so it is not asked of them."""
    parts = {"security": [], "routing": []}
    for kind in crds.KINDS:
        parts["security" if kind.name in SECURITY else "routing"].append(kind.plural)
    return {name: [_rule(sorted(plurals))] for name, plurals in parts.items()}


def _rule(plurals: list[str]) -> dict[str, Any]:
    return {
        "apiGroups": [crds.GROUP],
        "apiVersions": ["*"],
        "operations": ["CREATE", "UPDATE"],
        "resources": plurals,
        "scope": "Namespaced",
    }
