"""`ff explain route`: where each stage of a Route runs, and why; its policies, its place in each host's table.

In: NAMESPACE/NAME of a Route, HTTPRoute or GRPCRoute and a snapshot. Out: for each rule its matches in order of
precedence and the placement of the eight stages, apart where other policies make them differ; exit code 1 when no rule
of it is in use. Called by cli/main.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fastforward_compiler import ir
from google.protobuf import json_format

from fastforward.snapshot.v1 import snapshot_pb2

from .moment import moment
from .output import Output, print_data
from .snapshots import Resources, read_snapshot
from .where import Where

_PLACEMENTS = {
    snapshot_pb2.PLACEMENT_NONE: "none",
    snapshot_pb2.PLACEMENT_NATIVE: "native",
    snapshot_pb2.PLACEMENT_INLINE: "inline",
}
_PATHS = {
    snapshot_pb2.PATH_MATCH_TYPE_EXACT: "exactly",
    snapshot_pb2.PATH_MATCH_TYPE_PREFIX: "below",
    snapshot_pb2.PATH_MATCH_TYPE_REGEX: "regex",
}


def run(name: str, directories: Sequence[Path], state: Path, output: Output, where: Where, at: str = "") -> int:
    """Print the explanation."""
    wanted = name if "/" in name else f"default/{name}"
    told = explain_route(wanted, read_snapshot(directories, state, where, moment(at)))
    if not told["rules"]:
        known = ", ".join(told["known"]) or "none"
        print(f"No rule of Route {wanted} is in use; `ff get` says why. Routes in use: {known}.", file=sys.stderr)
        return 1
    del told["known"]
    if output is not Output.TEXT:
        print_data(told, output)
    else:
        print("\n".join(_lines(told)))
    return 0


def explain_route(name: str, resources: Resources) -> dict[str, Any]:
    """Everything there is to say, as plain values."""
    plans = {r.name.removeprefix("plan/"): r.plan for r in resources if r.WhichOneof("body") == "plan"}
    rules: dict[str, dict[str, Any]] = {}
    """By what is said of them: on another Edge or listener other policies hold. A wider host's come later, no more."""
    hosts: dict[str, None] = {}
    for table in (r.table for r in resources if r.WhichOneof("body") == "table"):
        for position, plan_name in enumerate(table.plans, 1):
            plan = plans[plan_name]
            if plan.route == name:
                host = plan.scope.partition("|")[2]
                hosts[host] = None
                said = _rule(plan)
                rule = rules.setdefault(json.dumps({**said, "priority": 0}), said)
                rule["matches"].append(_match(plan, host, position, len(table.plans)))
    known = sorted({plan.route for plan in plans.values() if plan.route})
    return {"route": name, "hosts": list(hosts), "rules": list(rules.values()), "known": known}


def _rule(plan: snapshot_pb2.Plan) -> dict[str, Any]:
    return {
        "rule": plan.rule,
        "priority": plan.priority,
        "schedule": plan.schedule,
        "auth": plan.auth,
        "limits": list(plan.limits),
        "destination": plan.WhichOneof("destination"),
        "hop": any(placed.placement == snapshot_pb2.PLACEMENT_INLINE for placed in plan.placements),
        "matches": [],
        "stages": [
            {"stage": placed.stage, "placement": _PLACEMENTS.get(placed.placement, ""), "why": placed.why}
            for placed in plan.placements
        ],
    }


def _match(plan: snapshot_pb2.Plan, host: str, position: int, of: int) -> dict[str, Any]:
    conditions = json_format.MessageToDict(plan.match)
    path = f"{_PATHS.get(plan.match.path_type, '')} {conditions.pop('path', '/')}"
    conditions.pop("pathType", None)
    edge = plan.scope.partition("|")[0]
    table = {"edge": edge, "host": host, "tenant": plan.tenant, "position": position, "of": of}
    return {"path": path.strip(), "conditions": conditions, **table}


def _lines(told: dict[str, Any]) -> Iterator[str]:
    yield f"Route {told['route']} on {', '.join(told['hosts'])}"
    for rule in told["rules"]:
        yield ""
        hop = "through one decision hop" if rule["hop"] else "by the proxy alone"
        yield f"rule {rule['rule']}: {rule['destination']}, {hop}"
        for match in rule["matches"]:
            yield f"  {_describe(match)}"
        if rule["schedule"]:
            yield f"  holds {rule['schedule']}"
        if rule["priority"]:
            yield f"  priority {rule['priority']}"
        yield from (f"  policy {name}" for name in filter(None, rule["auth"].split("+")))
        yield from (f"  limit {name}" for name in rule["limits"])
        for number, stage in enumerate(rule["stages"], 1):
            yield f"  {number} {stage['stage']:<14} {stage['placement']:<7} {stage['why']}"


def _describe(match: dict[str, Any]) -> str:
    whose = f"of tenant {match['tenant']}" if match["tenant"] else "for everybody"
    conditions = "".join(f", {name} {_short(value)}" for name, value in match["conditions"].items())
    gateway, is_gateway, port = match["edge"].partition(f"{ir.GATEWAY}@")
    host = f"{match['host']} at {gateway}:{port}" if is_gateway else match["host"]
    return f"{match['path']}{conditions}: place {match['position']} of {match['of']} on {host} {whose}"


def _short(value: object) -> str:
    if isinstance(value, list):
        return " ".join(_short(one) for one in value)
    if isinstance(value, dict):
        return f"{value.get('name', '')}={value.get('value', '*')}"
    return str(value)
