"""Zones of an Upstream in words: which endpoints a proxy asks depends on the zone that it is in itself.

In: what the Trail tells of an Upstream. Out: lines. Called by explain.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_MOST = 8
"""Endpoints of a zone that are told; all of them with `-o json`."""


def zone_lines(told: dict[str, Any]) -> Iterator[str]:
    """One for each zone, and one for what nobody here knows: in which zone the proxy is, and who is healthy."""
    if not told["zones"]:
        yield "no zone has an endpoint"
        return
    least = told["minimum"]
    for each in told["zones"]:
        endpoints = ", ".join(each["endpoints"][:_MOST])
        more = len(each["endpoints"]) - _MOST
        listed = f"{endpoints} and {more} more" if more > 0 else endpoints
        yield f"zone {each['zone']}: {listed}, {_meaning(each, least)}" if each["zone"] else f"no zone: {listed}"
    short = "no healthy endpoint" if least == 1 else f"fewer than {least} healthy endpoints"
    yield f"a proxy of another zone, or of none, asks all of them, as does one whose own zone has {short}"


def _meaning(zone: dict[str, Any], least: int) -> str:
    return (
        "which proxies of this zone ask alone"
        if zone["keeps"]
        else f"too few for proxies of this zone: {least} would do"
    )
