"""The listener that a request is said to come in by: one that is there, and so the Edge that it comes to.

In: a decision snapshot, a request that names a listener. Out: the request at that listener's Edge. Called by explain
and route_test. Two Edges may have the same host: the listener tells which one is asked, as it does for real requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from fastforward_compiler import ir
from fastforward_pipeline import Request, Snapshot

from .simulation import RequestError, find_best, those_on_port

_MOST = 8
"""Edges and Gateways that are told."""


def come_in(snapshot: Snapshot, request: Request, called: str) -> Request:
    """The request at the Edge whose listener it names; `called` is what the name was given by.

    Raises RequestError for one that no Edge has. An operator of an earlier release tells of none: then any is believed.
    """
    known = {scope.edge: scope.listeners for scope in snapshot.scopes.values() if scope.listeners}
    if not request.listener or not known:
        return request
    having = sorted(edge for edge, listeners in known.items() if request.listener in listeners)
    if not having:
        raise RequestError(
            f"{called} {request.listener!r}: no Edge or Gateway with routes has a listener of this name in use. "
            f"There are {_told(known)}. Name one of these, or none."
        )
    best = find_best(snapshot, those_on_port(having, request), request) or find_best(snapshot, having, request)
    # Where none of them has the host it gets what they say to strangers.
    return replace(request, edge=having[0] if best is None else best.edge)


def _told(known: Mapping[str, Iterable[str]]) -> str:
    """The names by whose they are; of a Gateway each port has its own."""
    names: dict[str, list[str]] = {}
    for edge in sorted(known):
        gateway, is_gateway, port = edge.partition(f"{ir.GATEWAY}@")
        # Of a port in clear text the logs have this name; whoever wrote the Gateway has given others.
        named = [listener for listener in known[edge] if not is_gateway or listener != f"port-{port}"]
        names.setdefault(f"Gateway {gateway}" if is_gateway else f"Edge {edge}", []).extend(named)
    listed = [f"{', '.join(named)} of {whose}" for whose, named in names.items()]
    more = [f"those of {len(listed) - _MOST} more"] if len(listed) > _MOST else []
    return "; ".join((*listed[:_MOST], *more))
