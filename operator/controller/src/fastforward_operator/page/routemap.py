"""The map of the page: which host leads by which tenant's rules to which upstreams.

In: a copy of the published resources. Out: JSON values, and a tag that changes when they do. Called by api, in a
thread: there may be ten thousand rules. It is read from what the decision services get, so it is what is in force;
streams (TCP, UDP, TLS that passes through) have no rules there and are left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fastforward_compiler import ir

from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_operator.presentation import Resources
from fastforward_operator.xds import wire
from fastforward_operator.xds.store import SHARED, SNAPSHOT, Entry

_NOUNS = ("plan/", "scope/", "table/")
_PATHS = {
    snapshot_pb2.PATH_MATCH_TYPE_EXACT: "exactly",
    snapshot_pb2.PATH_MATCH_TYPE_PREFIX: "below",
    snapshot_pb2.PATH_MATCH_TYPE_REGEX: "like",
}
_TEXTS = {
    snapshot_pb2.TEXT_MATCH_TYPE_EXACT: "=",
    snapshot_pb2.TEXT_MATCH_TYPE_PREFIX: "^=",
    snapshot_pb2.TEXT_MATCH_TYPE_REGEX: "~=",
}
_PORTS = {"http": 80, "https": 443}
_PRESENT = "any"
_FOUND = 302
_PROTOCOLS = {
    snapshot_pb2.ADAPTER_PROTOCOL_GRAPHQL: "GraphQL",
    snapshot_pb2.ADAPTER_PROTOCOL_GRPC: "gRPC",
    snapshot_pb2.ADAPTER_PROTOCOL_WEBSOCKET: "WebSocket",
}

Leads = tuple[str, list[dict[str, Any]]]
"""A destination in words, and the upstreams that it names, with their shares."""


def tag_of(resources: Resources) -> str:
    """The same as long as the map is."""
    known = hashlib.blake2b(digest_size=16)
    for name, entry in sorted(_entries(resources).items()):
        known.update(f"{name} {entry.version}\n".encode())
    return known.hexdigest()


def present_map(resources: Resources) -> dict[str, Any]:
    """Hosts in the order of their names; rules in order of precedence."""
    bodies = {name: _body(entry) for name, entry in _entries(resources).items()}
    hosts: dict[str, dict[str, list[dict[str, Any]]]] = {
        name.removeprefix("scope/"): {} for name in bodies if name.startswith("scope/")
    }
    for table in (body.table for body in bodies.values() if body.WhichOneof("body") == "table"):
        plans = (bodies[f"plan/{name}"].plan for name in table.plans if f"plan/{name}" in bodies)
        scope = bodies[f"scope/{table.scope}"].scope if f"scope/{table.scope}" in bodies else snapshot_pb2.Scope()
        hosts.setdefault(table.scope, {})[table.tenant] = [_rule(plan, scope) for plan in plans if not plan.gate]
    found = [_host(scope, tenants) for scope, tenants in hosts.items()]
    return {"hosts": sorted(found, key=lambda host: (host["host"], host["edge"]))}


def _entries(resources: Resources) -> Mapping[str, Entry]:
    every = resources.get(SHARED, {}).get(SNAPSHOT, {})
    return {name: entry for name, entry in every.items() if name.startswith(_NOUNS)}


def _body(entry: Entry) -> snapshot_pb2.Resource:
    return snapshot_pb2.Resource.FromString(wire.entry_content(entry.wire))


def _host(scope: str, tenants: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    edge, _, host = scope.partition("|")
    gateway, is_gateway, port = edge.partition(f"{ir.GATEWAY}@")
    return {
        "host": host,
        "edge": gateway,
        "port": port if is_gateway else "",
        "tenants": [{"tenant": tenant, "rules": rules} for tenant, rules in sorted(tenants.items())],
    }


def _rule(plan: snapshot_pb2.Plan, scope: snapshot_pb2.Scope) -> dict[str, Any]:
    words, upstreams = _destination(plan)
    return {
        "route": plan.route,
        "rule": plan.rule,
        "match": _match(plan.match),
        "example": _example(plan.match, scope),
        "leads": words,
        "upstreams": upstreams,
        "policies": [name for name in plan.auth.split("+") if name] + list(plan.limits),
        "hop": any(placed.placement == snapshot_pb2.PLACEMENT_INLINE for placed in plan.placements),
    }


def _example(match: snapshot_pb2.Match, scope: snapshot_pb2.Scope) -> dict[str, str] | None:
    """A request that meets the rule, as the view `explain` has its fields; None where none can be made of it."""
    texts = (*match.headers, *match.query)
    if (
        "*" in (scope.host or "*")
        or match.path_type == snapshot_pb2.PATH_MATCH_TYPE_REGEX
        or any(text.type == snapshot_pb2.TEXT_MATCH_TYPE_REGEX for text in texts)
    ):
        return None
    scheme, port = _entrance(match.listener, scope)
    headers = [(text.name, text.value or _PRESENT) for text in match.headers]
    if match.api_version:
        headers.append((scope.api_version_header, match.api_version))
    # As it is written: proxies decode nothing of it.
    query = "&".join(f"{text.name}={text.value or _PRESENT}" for text in match.query)
    return {
        "method": next(iter(match.methods), "GET"),
        "scheme": scheme,
        "host": scope.host if port in (None, _PORTS[scheme]) else f"{scope.host}:{port}",
        "path": f"{match.path or '/'}{'?' if query else ''}{query}",
        "headers": "\n".join(f"{name}: {value}" for name, value in headers),
        "listener": match.listener,
    }


def _entrance(listener: str, scope: snapshot_pb2.Scope) -> tuple[str, int | None]:
    """Scheme and port by which requests come to the rule; of several TLS, for clear text often only leads there."""
    _, is_gateway, port = scope.edge.partition(f"{ir.GATEWAY}@")
    if is_gateway:
        # What a port in clear text is called.
        return "http" if f"port-{port}" in scope.listeners else "https", int(port)
    fitting = [each for each in scope.entrances if listener in ("", each.listener)]
    found = max(fitting, key=lambda each: each.scheme == "https", default=None)
    return ("http", None) if found is None else (found.scheme, found.port)


def _match(match: snapshot_pb2.Match) -> str:
    return ", ".join(_conditions(match))


def _conditions(match: snapshot_pb2.Match) -> Iterator[str]:
    methods = " ".join(match.methods) or "any method"
    yield f"{methods} {_PATHS.get(match.path_type, 'below')} {match.path or '/'}"
    yield from (f"header {_text(each)}" for each in match.headers)
    yield from (f"query {_text(each)}" for each in match.query)
    yield from (f"role {role}" for role in match.roles)
    named = {"region": match.region, "flag": match.flag, "API version": match.api_version, "listener": match.listener}
    yield from (f"{name} {value}" for name, value in named.items() if value)


def _text(match: snapshot_pb2.TextMatch) -> str:
    sign = _TEXTS.get(match.type)
    return match.name if sign is None else f"{match.name}{sign}{match.value}"


def _destination(plan: snapshot_pb2.Plan) -> Leads:
    kind = plan.WhichOneof("destination")
    find = _DESTINATIONS.get(kind) if kind is not None else None
    return ("nowhere", []) if find is None else find(plan)


def _upstreams(plan: snapshot_pb2.Plan) -> Leads:
    found = plan.upstreams.upstreams
    total = sum(each.weight for each in found)
    shares = [(each, each.weight / total if total else 0.0) for each in found]
    # Without a name it is a reference that leads nowhere: its share is answered 500.
    return "", [{"upstream": each.upstream, "share": round(share, 4)} for each, share in shares]


def _shards(plan: snapshot_pb2.Plan) -> Leads:
    to = plan.shards
    return f"a Shard of {to.namespace} by {to.key}{f', its upstream for {to.purpose}' if to.purpose else ''}", []


def _redirect(plan: snapshot_pb2.Plan) -> Leads:
    to = plan.redirect
    scheme = f"{to.scheme}://" if to.scheme else ""
    port = f":{to.port}" if to.port else ""
    return f"redirect {to.status or _FOUND} to {scheme}{to.host or 'the same host'}{port}{to.path or to.prefix}", []


def _respond(plan: snapshot_pb2.Plan) -> Leads:
    return f"answered here with {plan.respond.status}", []


def _unavailable(plan: snapshot_pb2.Plan) -> Leads:
    return f"answered here with 500: {plan.unavailable.reason}", []


def _message(plan: snapshot_pb2.Plan) -> Leads:
    message = plan.message
    if message.HasField("gather"):
        # Each of them gets it.
        every = [{"upstream": part.upstream, "share": 1.0} for part in message.gather.parts]
        return f"message {message.type}, to each at once,", every
    return f"message {message.type}", [{"upstream": message.upstream, "share": 1.0}] if message.upstream else []


def _adapter(plan: snapshot_pb2.Plan) -> Leads:
    return f"adapter of {_PROTOCOLS.get(plan.adapter.protocol, 'another protocol')}", []


_DESTINATIONS: Mapping[str, Callable[[snapshot_pb2.Plan], Leads]] = {
    "upstreams": _upstreams,
    "shards": _shards,
    "redirect": _redirect,
    "respond": _respond,
    "unavailable": _unavailable,
    "message": _message,
    "adapter": _adapter,
}
