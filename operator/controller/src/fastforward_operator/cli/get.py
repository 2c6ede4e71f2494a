"""`ff get`: resources and their conditions, as the running operator sees them.

In: a kind (any of its names), a name, a namespace. Out: a table, one object in full, or JSON and YAML; exit code 1 when
what is named is not there. Called by cli/main.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

from .kinds import kind_named, known_kinds
from .output import Output, print_data, print_table
from .source import connect
from .where import Where

_TITLES = ("KIND", "NAME", "ACCEPTED", "RESOLVED", "PROGRAMMED", "PROXIES", "REASON", "GENERATION", "SINCE")


def run(kind: str, name: str, namespace: str, output: Output, where: Where) -> int:
    """Print what matches."""
    if kind and kind_named(kind) is None:
        print(f"There is no kind {kind}; known are {known_kinds()}.", file=sys.stderr)
        return 1
    space, _, short = name.rpartition("/")
    found = connect(where).objects(kind=kind_named(kind) or "", namespace=space or namespace, name=short)
    if name and not found:
        print(f"There is no {kind_named(kind) or 'object'} {name}: `ff get` lists what is there.", file=sys.stderr)
        return 1
    if output is not Output.TEXT:
        print_data(found[0] if name and len(found) == 1 else {"objects": found}, output)
    elif name:
        for number, one in enumerate(found):
            _print_whole(one, blank_before=number > 0)
    elif found:
        print_table(_TITLES, map(_row, found))
    else:
        print("Nothing is there.")
    return 0


def _row(value: dict[str, Any]) -> tuple[str, ...]:
    conditions = {condition["type"]: condition for condition in value["conditions"]}
    programmed = conditions["Programmed"]
    worst = next((c for c in value["conditions"] if c["status"] == "False"), programmed)
    return (
        value["kind"],
        _name(value),
        conditions["Accepted"]["status"],
        conditions["ResolvedRefs"]["status"],
        programmed["status"],
        f"{value['proxies']['ready']}/{value['proxies']['total']}",
        worst["reason"],
        str(value["generation"]),
        _since(programmed["lastTransitionTime"]),
    )


def _print_whole(value: dict[str, Any], *, blank_before: bool) -> None:
    if blank_before:
        print()
    print(f"{value['kind']} {_name(value)}")
    print(f"  written in   {value['source'] or 'unknown'}, generation {value['generation']}")
    print(f"  proxies      {value['proxies']['ready']} of {value['proxies']['total']} have it")
    if value["effective"]:
        print(f"  effective    {', '.join(value['effective'])}")
    for condition in value["conditions"]:
        stale = condition["observedGeneration"] != value["generation"]
        late = f" (of generation {condition['observedGeneration']})" if stale else ""
        message = f": {condition['message']}" if condition["message"] else ""
        since = _since(condition["lastTransitionTime"])
        print(f"  {condition['type']:<12} {condition['status']} {condition['reason']}{message}{late}, for {since}")
    for problem in value["problems"]:
        field = f"{problem['field']}: " if problem["field"] else ""
        print(f"  problem      {problem['at'] or ''} {field}{problem['message']}")


def _name(value: dict[str, Any]) -> str:
    return f"{value['namespace']}/{value['name']}" if value["namespace"] else value["name"]


def _since(time: str) -> str:
    seconds = int((datetime.now(UTC) - datetime.fromisoformat(time)).total_seconds())
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{max(seconds, 0)}s"
