"""Statuses as the kinds' definitions have them: one pure function a kind.

In: an ObjectStatus, how many proxies have the object, the status that is there. Out: the status to write. Called by
statuswriter. What other controllers say of a route stays; a condition that stays keeps its time.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from fastforward_compiler import ir
from fastforward_compiler.translate.gatewayapi.attachment import UNUSABLE
from fastforward_compiler.translate.gatewayapi.features import FEATURES
from fastforward_crds import gatewayapi

from fastforward_operator.objectstatus import MAX_MESSAGE, Condition, ObjectStatus, count_told, with_count

from .kstatus import summary

Json = dict[str, Any]
Conditions = list[Json]
_SHARED = ("parents", "ancestors")
"""Lists of a status in which each controller has entries of its own."""
_MOST_ADDRESSES, _MOST_PARENTS, _MOST_ANCESTORS, _MOST_POLICIES = 16, 32, 16, 256
"""How many of each the definitions take: a status with more is refused as a whole."""


def payload(status: ObjectStatus, proxies: tuple[int, int], there: Mapping[str, Any], now: datetime) -> Json:
    """The status of an object."""
    counted = with_count(status, proxies)
    make = _MAKERS.get(status.ref.kind)
    return make(counted, there, now) if make is not None else _own(counted, proxies)


def differ_in_counts_alone(one: object, other: object) -> bool:
    """Whether two statuses say the same, but for how many proxies have it."""
    if isinstance(one, dict) and isinstance(other, dict):
        names = one.keys() - {_count(one)}
        return names == other.keys() - {_count(other)} and all(
            differ_in_counts_alone(one[name], other[name]) for name in names
        )
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(differ_in_counts_alone, one, other))
    return one == other


def _count(told: Mapping[str, Any]) -> str:
    """Name of the field that tells how many; empty where none does."""
    return "proxies" if "proxies" in told else "message" if _is_programmed(told) else ""


def _is_programmed(told: Mapping[str, Any]) -> bool:
    return told.get("type") == "Programmed" and told.get("status") == "True"


def without_ours(there: Mapping[str, Any]) -> Json:
    """What is left of a status when we have nothing to say any more; empty when we had said nothing."""
    return {name: _others(there, name) for name in _SHARED if _ours(there, name)}


def _ours(status: Mapping[str, Any], name: str) -> list[Json]:
    return [each for each in status.get(name, ()) if _is_ours(each)]


def _others(status: Mapping[str, Any], name: str) -> list[Json]:
    return [each for each in status.get(name, ()) if not _is_ours(each)]


def _own(status: ObjectStatus, proxies: tuple[int, int]) -> Json:
    """Of our kinds."""
    told: Json = {
        "observedGeneration": status.generation,
        "conditions": [_condition(condition) for condition in (*summary(status), *status.conditions)],
        "proxies": count_told(proxies),
    }
    if status.effective:
        told["effectivePolicies"] = list(status.effective[:_MOST_POLICIES])
    return told


def _gateway_class(status: ObjectStatus, _: Mapping[str, Any], __: datetime) -> Json:
    conditions = [_condition(each) for each in status.conditions if each.type == "Accepted"]
    return {"conditions": conditions, "supportedFeatures": [{"name": name} for name in sorted(FEATURES)]}


def _gateway(status: ObjectStatus, there: Mapping[str, Any], now: datetime) -> Json:
    return {
        "addresses": list(map(_address, status.addresses[:_MOST_ADDRESSES])),
        "attachedListenerSets": status.attached_sets,
        **_listener_set(status, there, now),
    }


def _address(value: str) -> Json:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return {"type": "Hostname", "value": value}
    return {"type": "IPAddress", "value": value}


def _listener_set(status: ObjectStatus, there: Mapping[str, Any], now: datetime) -> Json:
    return {
        "conditions": [_condition(condition) for condition in status.conditions],
        "listeners": [_listener(status, part, there, now) for part in status.parts],
    }


def _listener(status: ObjectStatus, part: ir.Part, there: Mapping[str, Any], now: datetime) -> Json:
    name = dict(part.place)["name"]
    before = next((each for each in there.get("listeners", ()) if each.get("name") == name), {})
    verdicts = [*(_verdict(each, status) for each in part.verdicts), _programmed(status, part)]
    return {
        "name": name,
        "supportedKinds": [{"group": gatewayapi.GROUP, "kind": kind} for kind in part.kinds],
        "attachedRoutes": part.attached,
        "conditions": _timed(verdicts, before.get("conditions", ()), now),
    }


def _route(status: ObjectStatus, there: Mapping[str, Any], now: datetime) -> Json:
    return {"parents": list(_places("parentRef", _MOST_PARENTS, status, there.get("parents", ()), now))}


def _policy(status: ObjectStatus, there: Mapping[str, Any], now: datetime) -> Json:
    return {"ancestors": list(_places("ancestorRef", _MOST_ANCESTORS, status, there.get("ancestors", ()), now))}


def _places(field: str, most: int, status: ObjectStatus, there: Iterable[Json], now: datetime) -> Iterator[Json]:
    """Where there are too many, those of others stay, and of ours those that were told before."""
    listed = list(there)
    others = [each for each in listed if not _is_ours(each)]
    before = [each for each in listed if _is_ours(each)]
    for part in _most(status.parts, [each.get(field) for each in before], max(0, most - len(others))):
        ref = dict(part.place)
        told = next((each for each in before if each.get(field) == ref), {})
        verdicts = [_verdict(each, status) for each in part.verdicts]
        if field == "parentRef":
            verdicts.append(_programmed(status, part))
        yield {
            field: ref,
            "controllerName": gatewayapi.CONTROLLER,
            "conditions": _timed(verdicts, told.get("conditions", ()), now),
        }
    yield from others


def _most(parts: Sequence[ir.Part], before: Sequence[object], room: int) -> Iterator[ir.Part]:
    """As many as there is room for, in their order, those from before first of all."""
    if len(parts) <= room:
        return iter(parts)
    first = sorted(parts, key=lambda part: dict(part.place) not in before)[:room]
    return (part for part in parts if part in first)


def _is_ours(place: Mapping[str, Any]) -> bool:
    return place.get("controllerName") == gatewayapi.CONTROLLER


def _verdict(verdict: ir.Verdict, status: ObjectStatus) -> Json:
    return _made(verdict.type, "True" if verdict.holds else "False", verdict.reason, verdict.message, status)


def _programmed(status: ObjectStatus, part: ir.Part) -> Json:
    """As the whole object, where the part takes part in it; or else why it does not."""
    if not part.serves:
        refused = next((v for v in part.verdicts if v.type in ("Accepted", "ResolvedRefs") and not v.holds), None)
        reason = refused.reason if refused is not None and refused.type == "Accepted" else "Invalid"
        message = refused.message if refused is not None else UNUSABLE
        return _made("Programmed", "False", reason, message, status)
    whole = status.conditions[-1]
    reason = whole.reason if whole.status == "True" else "Pending"
    return _made("Programmed", whole.status, reason, whole.message, status)


def _made(kind: str, holds: str, reason: str, message: str, status: ObjectStatus) -> Json:
    return {
        "type": kind,
        "status": holds,
        "observedGeneration": status.generation,
        "reason": reason,
        "message": message[:MAX_MESSAGE],
    }


def _timed(made: Conditions, before: Iterable[Json], now: datetime) -> Conditions:
    since = {(each.get("type"), each.get("status")): each.get("lastTransitionTime") for each in before}
    return [{**each, "lastTransitionTime": since.get((each["type"], each["status"])) or _time(now)} for each in made]


def _condition(condition: Condition) -> Json:
    return {
        "type": condition.type,
        "status": condition.status,
        "observedGeneration": condition.observed_generation,
        "reason": condition.reason,
        "message": condition.message,
        "lastTransitionTime": _time(condition.since),
    }


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


_MAKERS: Mapping[str, Callable[[ObjectStatus, Mapping[str, Any], datetime], Json]] = {
    "GatewayClass": _gateway_class,
    "Gateway": _gateway,
    "ListenerSet": _listener_set,
    "HTTPRoute": _route,
    "GRPCRoute": _route,
    "TLSRoute": _route,
    "TCPRoute": _route,
    "UDPRoute": _route,
    "BackendTLSPolicy": _policy,
}
