"""`ff status`: the proxies and decision services, what they acknowledged, and what is wrong.

In: the address of the operator's API. Out: two tables, or JSON and YAML; exit code 1 when anything is wrong. Called by
cli/main.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from .client import connect
from .output import Output, print_data, print_table
from .where import Where


def run(output: Output, where: Where) -> int:
    """Print who is connected and what is wrong."""
    client = connect(where)
    nodes, objects = client.proxies(), client.objects()
    wrong = [one for one in objects if any(c["status"] == "False" for c in one["conditions"])]
    if output is Output.TEXT:
        _print(nodes, objects, wrong)
    else:
        count = Counter(_programmed(one)["status"] for one in objects)
        data = {"proxies": nodes, "objects": len(objects), "programmed": dict(count), "wrong": wrong}
        print_data(data, output)
    return 1 if wrong else 0


def _print(nodes: list[dict[str, Any]], objects: list[dict[str, Any]], wrong: list[dict[str, Any]]) -> None:
    if nodes:
        print_table(("NODE", "KIND", "STATE", "HAS", "UNACKNOWLEDGED", "REFUSED"), map(_node, nodes))
    else:
        print("No proxy and no decision service is connected.")
    print()
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


def _programmed(value: dict[str, Any]) -> dict[str, Any]:
    return next(condition for condition in value["conditions"] if condition["type"] == "Programmed")
