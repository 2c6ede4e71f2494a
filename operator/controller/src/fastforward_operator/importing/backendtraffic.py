"""Policies of Gateway API for the traffic to a Service to the settings of its Upstreams: sessions, bounds of retries.

In: the policy that holds for a Service. Out: settings of an Upstream. Called by filters. XBackendTrafficPolicy was
BackendLBPolicy before. Sources: GEP-1619, GEP-3388.
"""

from __future__ import annotations

from .draft import Context, Document
from .persistence import take_persistence
from .reading import Field, Item

KINDS = ("XBackendTrafficPolicy", "BackendLBPolicy")
GROUPS = ("gateway.networking.x-k8s.io", "gateway.networking.k8s.io")


def traffic_policy_of(context: Context, namespace: str, service: str) -> Item | None:
    """The policy of a Service; of several the first by name."""
    found = [
        item
        for (kind, where, _), item in context.items.items()
        if kind in KINDS and where == namespace and item.group in GROUPS and _aims_at(item, service)
    ]
    return min(found, key=lambda item: item.name, default=None)


def take_traffic(policy: Item) -> Document:
    """The settings for the Upstreams of its Services."""
    for target in policy.spec["targetRefs"].each():
        for part in ("group", "kind", "name"):
            target[part].taken()
    made: Document = {}
    session = take_persistence(policy.spec["sessionPersistence"], policy, "")
    if session:
        made["sessionAffinity"] = session
    budget = _budget(policy.spec["retryConstraint"])
    if budget:
        made["retryBudget"] = budget
    return made


def _aims_at(policy: Item, service: str) -> bool:
    listed = [target.raw for target in policy.spec["targetRefs"].each()]
    return any(
        isinstance(target, dict)
        and (target.get("group", ""), target.get("kind"), target.get("name")) == ("", "Service", service)
        for target in listed
    )


def _budget(found: Field) -> Document:
    if found.raw == {}:
        found.taken()
    budget, least = found["budget"], found["minRetryRate"]
    budget["interval"].lost("Retries are a share of the requests under way.", "Nothing, where that will do.")
    least.lost("Retries that are always allowed are so many at once.", "Set retryBudget.minConcurrent.")
    if not budget["percent"]:
        return {}
    percent = budget["percent"].number(20)
    bounded = min(max(percent, 1), 100)
    budget["percent"].changed("The share is of the requests under way." + (f" It is {bounded}." * (bounded != percent)))
    return {"percent": bounded}
