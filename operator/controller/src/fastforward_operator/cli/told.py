"""Objects of a cluster as the operator's API tells them, by what their statuses say; and which objects are ours.

In: documents. Out: the values of the API. Called by cluster. Several controllers write into the kinds of Gateway API:
only objects of which ours speaks are told, and of routes and policies only what ours says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

import fastforward_crds as crds
from fastforward_crds import gatewayapi

from fastforward_operator.kubernetes.kstatus import RECONCILING, STALLED
from fastforward_operator.objectstatus import read_count

Document = dict[str, Any]
_CONDITIONS = ("Accepted", "ResolvedRefs", "Programmed")
_FOR_TOOLS = frozenset({RECONCILING, STALLED})
"""Conditions that say again what others say."""
_WORST_FIRST = ("False", "Unknown", "True")
_BLANK = {"reason": "", "message": "", "observedGeneration": 0}


class Ownership:
    """Which objects are ours. Gateways are by their class, and their ListenerSets with them: those are asked for."""

    def __init__(self, listed: Callable[[str], Iterable[Document]]) -> None:
        self._listed = listed
        """All objects of a kind."""

    def has(self, document: Document) -> bool:
        """Routes and policies of Gateway API are ours once our controller has said something of them."""
        kind, spec = document["kind"], document.get("spec") or {}
        if kind in crds.PLURALS:
            return True
        if kind == "GatewayClass":
            return spec.get("controllerName") == gatewayapi.CONTROLLER
        if kind == "Gateway":
            return spec.get("gatewayClassName") in self._classes
        if kind == "ListenerSet":
            parent = spec.get("parentRef") or {}
            return (parent.get("namespace") or document["metadata"]["namespace"], parent.get("name")) in self._gateways
        return bool(_places(document.get("status") or {}))

    @cached_property
    def _classes(self) -> set[str]:
        return {each["metadata"]["name"] for each in self._listed("GatewayClass") if self.has(each)}

    @cached_property
    def _gateways(self) -> set[tuple[str, str]]:
        owned = (each["metadata"] for each in self._listed("Gateway") if self.has(each))
        return {(each["namespace"], each["name"]) for each in owned}


def described(document: Document) -> Document:
    """An object as the operator's API tells it, by what its status says."""
    metadata, status = document["metadata"], document.get("status") or {}
    conditions = _conditions(status, metadata)
    have, of = read_count(status.get("proxies") or conditions[-1]["message"])
    return {
        "kind": document["kind"],
        "namespace": metadata.get("namespace", ""),
        "name": metadata["name"],
        "generation": metadata.get("generation", 0),
        "source": None,
        "conditions": conditions,
        "problems": [],
        "effective": list(status.get("effectivePolicies", ())),
        "proxies": {"ready": have, "total": of},
    }


def _conditions(status: Mapping[str, Any], metadata: Mapping[str, Any]) -> list[Document]:
    """What only some objects have first, as the operator tells it; Programmed last."""
    by_type: dict[str, list[Document]] = {}
    for place in _places(status) or (status,):
        for each in place.get("conditions") or ():
            # What a definition gives until somebody says something is of 1970.
            since = max(each["lastTransitionTime"], metadata["creationTimestamp"])
            by_type.setdefault(each["type"], []).append({**_BLANK, **each, "lastTransitionTime": since})
    told = {kind: _joined(found) for kind, found in by_type.items() if kind not in _FOR_TOOLS}
    others = [each for kind, each in told.items() if kind not in _CONDITIONS]
    return [*others, *(told.get(kind) or _unsaid(kind, told.values(), metadata) for kind in _CONDITIONS)]


def _places(status: Mapping[str, Any]) -> list[Document]:
    """What our controller says of each parent of a route, or ancestor of a policy: others have places of their own."""
    listed = (*(status.get("parents") or ()), *(status.get("ancestors") or ()))
    return [each for each in listed if each.get("controllerName") == gatewayapi.CONTROLLER]


def _joined(found: list[Document]) -> Document:
    """The worst of those of one type, with the words of all that are as bad."""
    worst = _worst(found)
    words = dict.fromkeys(each["message"] for each in found if each["status"] == worst["status"] and each["message"])
    return {**worst, "message": " ".join(words)}


def _worst(found: Iterable[Document]) -> Document:
    return min(found, key=lambda each: _WORST_FIRST.index(each["status"]))


def _unsaid(kind: str, told: Iterable[Document], metadata: Mapping[str, Any]) -> Document:
    """A condition that the status does not have: that of a class or a policy has no place for all of them."""
    said = list(told)
    if not said:
        return {
            "type": kind,
            "status": "Unknown",
            "reason": "Pending",
            "message": "No operator has said anything yet.",
            "observedGeneration": 0,
            "lastTransitionTime": metadata["creationTimestamp"],
        }
    worst = _worst(said)
    reason = kind if worst["status"] == "True" else worst["reason"]
    return {**worst, "type": kind, "reason": reason, "message": f"It is not told apart from {worst['type']}."}
