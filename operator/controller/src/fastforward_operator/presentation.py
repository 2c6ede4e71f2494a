"""Statuses, nodes and published resources as JSON values: the shapes of the operator's API.

In: values of status, ledger and store. Out: dicts and lists. Called by api and statusfiles. Times are RFC 3339.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import fastforward_crds as crds
from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf import json_format
from google.protobuf.message import Message

from fastforward.snapshot.v1 import snapshot_pb2

from .objectstatus import ObjectStatus, with_count
from .providers import Source
from .xds import wire
from .xds.inspection import Told
from .xds.publisher import Publisher
from .xds.session import EnvoySession, Session
from .xds.store import SHARED, SNAPSHOT, Entry

Locate = Callable[[Source, str], Source]
"""A document and a field of it -> where that field is."""
Resources = Mapping[str, Mapping[str, Mapping[str, Entry]]]
"""A copy of the Store: by fleet, type and name."""
LAGGING_AFTER_S = 5.0
_ZEROS = bytes(32)
_COUNTS = frozenset({"calls", "failures", "refused", "retries"})


def present(status: ObjectStatus, proxies: tuple[int, int], locate: Locate | None) -> dict[str, Any]:
    """One object. Problems are given with file and line when `locate` can find them."""
    have, of = proxies
    return {**present_uncounted(with_count(status, proxies), locate), "proxies": {"ready": have, "total": of}}


def present_uncounted(status: ObjectStatus, locate: Locate | None) -> dict[str, Any]:
    """One object without how many proxies have it, which changes without its status."""
    return {
        "kind": status.ref.kind,
        "namespace": status.ref.namespace,
        "name": status.ref.name,
        "generation": status.generation,
        "source": str(status.source) if status.source else None,
        "conditions": [
            {
                "type": condition.type,
                "status": condition.status,
                "reason": condition.reason,
                "message": condition.message,
                "observedGeneration": condition.observed_generation,
                "lastTransitionTime": condition.since.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            }
            for condition in status.conditions
        ],
        "problems": [
            {
                "condition": problem.condition,
                "reason": problem.reason,
                "field": problem.field,
                "message": problem.message,
                "at": _at(status.source, problem.field, locate),
            }
            for problem in status.problems
        ],
        "effective": list(status.effective),
    }


def hosts_of(kept: crds.Packed | None) -> list[str]:
    """Hosts that an object names by itself."""
    if kept is None:
        return []
    spec = json.loads(kept.text).get("spec", {})
    of_listeners = [listener.get("hostname") for listener in spec.get("listeners", ())]
    return [host for host in (*spec.get("hosts", ()), *spec.get("hostnames", ()), *of_listeners) if host]


def _at(source: Source | None, field: str, locate: Locate | None) -> str | None:
    if source is None:
        return None
    return str(locate(source, field) if locate is not None else source)


def present_nodes(publisher: Publisher) -> list[dict[str, Any]]:
    """Every connected node; to be called in the server's thread."""
    now = time.monotonic()
    return [_present_node(session, publisher, now) for session in publisher.ledger.sessions.values()]


def _present_node(session: Session, publisher: Publisher, now: float) -> dict[str, Any]:
    oldest = session.oldest_sent()
    age = now - oldest if oldest else 0.0
    counts = session.sid in publisher.ledger.counted
    return {
        "node": session.name,
        "kind": session.kind,
        "edge": session.fleet,
        "version": session.version if isinstance(session, EnvoySession) else "",
        "state": "joining" if not counts else "lagging" if age > LAGGING_AFTER_S else "live",
        "connectedSeconds": round(now - session.opened_at, 3),
        "oldestUnacknowledgedSeconds": round(age, 3),
        "types": {
            type_url.rpartition(".")[2]: {
                "told": session.told[type_url],
                "holds": len(channel.sent),
                "unacknowledged": len(channel.pending),
                "waiting": len(channel.dirty),
                "refused": {
                    name: {"version": refusal.version, "message": refusal.message}
                    for name, refusal in channel.refused.items()
                },
            }
            for type_url, channel in session.channels.items()
        },
    }


def present_told(told: Iterable[Told], what: str) -> dict[str, Any]:
    """What EntryPoints say: a list of `ways` or `hops`, each with its node; who was asked, and who did not answer."""
    told = list(told)
    found = [
        {"node": each.node, **_plain(item)}
        for each in told
        if each.answer is not None
        for item in getattr(each.answer, what)
    ]
    nodes, silent = [each.node for each in told], [each.node for each in told if each.answer is None]
    return {what: found, "asked": nodes, "silent": silent}


def _plain(item: Message) -> dict[str, Any]:
    """Counts are numbers, not texts as protobuf's JSON has them."""
    made = json_format.MessageToDict(item, always_print_fields_with_no_presence=True)
    return {name: int(value) if name in _COUNTS else value for name, value in made.items()}


def present_envoy(resources: Resources) -> Iterator[dict[str, Any]]:
    """What the proxies get, by fleet, type and name, without private keys; scopes by the name of their table."""
    for fleet, types in sorted(resources.items()):
        of_fleet = {} if fleet == SHARED else {"edge": fleet}
        for type_url, entries in sorted(types.items()):
            for name, entry in sorted(entries.items()) if type_url != SNAPSHOT else ():
                resource = discovery_pb2.Resource.FromString(wire.entry_content(entry.wire))
                shown = json_format.MessageToDict(resource.resource, preserving_proto_field_name=True)
                shown.get("tls_certificate", {}).pop("private_key", None)
                readable = shown.get("route_configuration", {}).get("name", name)
                yield {**of_fleet, "name": readable, "version": entry.version, "resource": shown}


def present_snapshot(resources: Resources) -> Iterator[dict[str, Any]]:
    """What the decision services get, without what proves an API key or a password, or signs a webhook."""
    return map(json_format.MessageToDict, snapshot_without_secrets(resources))


def snapshot_without_secrets(resources: Resources) -> Iterator[snapshot_pb2.Resource]:
    """What the decision services get, with zeros for peppers, hashes, keys of webhooks and secrets of clients, and no
    hashes of passwords: nobody is to read them.
    """
    for _, entry in sorted(resources.get(SHARED, {}).get(SNAPSHOT, {}).items()):
        resource = snapshot_pb2.Resource.FromString(wire.entry_content(entry.wire))
        if resource.WhichOneof("body") == "apikeys":
            resource.apikeys.pepper = _ZEROS
            for key in resource.apikeys.keys:
                key.hash = _ZEROS
        for user in resource.users.users:
            user.hash = ""
        if resource.WhichOneof("body") == "oidc":
            resource.oidc.secret = _ZEROS
        for place in range(len(resource.eventhook.secrets)):
            resource.eventhook.secrets[place] = _ZEROS
        yield resource


def serialise_snapshot(resources: Resources) -> bytes:
    """The same as one SnapshotDelta."""
    delta = snapshot_pb2.SnapshotDelta(resources=snapshot_without_secrets(resources))
    return delta.SerializeToString(deterministic=True)
