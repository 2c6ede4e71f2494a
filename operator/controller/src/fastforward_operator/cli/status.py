"""`ff status`: the proxies and decision services, what they acknowledged, their hops, and what is wrong.

In: the address of the operator's API. Out: tables, or JSON and YAML; exit code 1 when anything is wrong with an object.
Called by cli/main.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from .output import Output, print_data, print_table
from .source import connect
from .where import Where


def run(output: Output, where: Where) -> int:
    """Print who is connected and what is wrong."""
    client = connect(where)
    nodes, hops, objects = client.proxies(), client.hops(), client.objects()
    wrong = [one for one in objects if any(c["status"] == "False" for c in one["conditions"])]
    if output is Output.TEXT:
        _print_nodes(nodes, hops)
        _print_objects(objects, wrong)
    else:
        count = Counter(_programmed(one)["status"] for one in objects)
        data = {"proxies": nodes, "hops": hops, "objects": len(objects), "programmed": dict(count), "wrong": wrong}
        print_data(data, output)
    return 1 if wrong else 0


def _print_nodes(nodes: list[dict[str, Any]], hops: list[dict[str, Any]]) -> None:
    if nodes:
        print_table(("NODE", "KIND", "STATE", "HAS", "UNACKNOWLEDGED", "REFUSED"), map(_node, nodes))
    else:
        print("No proxy and no decision service is known to be connected.")
    print()
    if hops:
        print_table(("NODE", "HOP", "BREAKER", "IN FLIGHT", "WAITING", "CALLS", "FAILED", "REFUSED"), map(_hop, hops))
        print()


def _print_objects(objects: list[dict[str, Any]], wrong: list[dict[str, Any]]) -> None:
    good = sum(_programmed(one)["status"] == "True" for one in objects)
    print(f"{good} of {len(objects)} objects are programmed; {len(wrong) or 'none'} with problems.")
    for one in wrong:
        condition = next(c for c in one["conditions"] if c["status"] == "False")
        name = f"{one['namespace']}/{one['name']}" if one["namespace"] else one["name"]
        print(f"  {one['kind']} {name}: {condition['type']} False {condition['reason']}: {condition['message']}")
        for problem in one["problems"]:
            place = f"{problem['at'] or one['source']}: {problem['field']}".removesuffix(": ")
            print(f"    {place}{'' if problem['message'] in condition['message'] else ': ' + problem['message']}")


def _node(node: dict[str, Any]) -> tuple[str, ...]:
    types = node["types"].values()
    refused = [
        f"{kind} {name}: {one['message']}"
        for kind, channel in node["types"].items()
        for name, one in channel["refused"].items()
    ]
    return (
        node["node"],
        node["kind"],
        node["state"],
        str(sum(one["holds"] for one in types)),
        str(sum(one["unacknowledged"] + one["waiting"] for one in types)),
        "; ".join(refused) or "-",
    )


def _hop(hop: dict[str, Any]) -> tuple[str, ...]:
    limit = hop.get("limit")
    return (
        hop["node"],
        f"{hop['name']} ({hop['note']})" if hop.get("note") else hop["name"],
        hop["breaker"] or "-",
        f"{hop['inFlight']}{'' if limit is None else f' of {limit}'}",
        *(str(hop[count]) for count in ("waiting", "calls", "failures", "refused")),
    )


def _programmed(value: dict[str, Any]) -> dict[str, Any]:
    return next(condition for condition in value["conditions"] if condition["type"] == "Programmed")
