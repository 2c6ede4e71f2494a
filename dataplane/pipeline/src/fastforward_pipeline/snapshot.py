"""The decision snapshot, compiled: an immutable value that requests are judged by.

In: the resources of snapshot.proto, as deltas. Out: a new Snapshot that shares everything unchanged with the old one.
Called by EntryPoint off the request path, and by the CLI. Work is proportional to the delta: one changed Plan among
10,000 compiles one Plan.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from fastforward.snapshot.v1 import snapshot_pb2

from .compiled.addresslist import AddressList, compile_addresslist
from .compiled.apikeys import ApiKeys, compile_apikeys
from .compiled.authpolicy import Auth, compile_auth
from .compiled.eventhook import EventHook, compile_eventhook
from .compiled.keyset import KeySet, compile_keyset
from .compiled.oidc import OidcClient, compile_oidc_client
from .compiled.ratelimit import Limit, compile_limit
from .compiled.route import Plan, compile_plan
from .compiled.schema import Schema, compile_schema
from .compiled.shard import ShardSet, compile_shards
from .compiled.table import Scope, Table, compile_scope, compile_table
from .compiled.tenant import Tenant, compile_tenant
from .compiled.upstream import Upstream, compile_upstream
from .compiled.users import Users, compile_users
from .compiled.workload import Workload, compile_workload
from .compiled.zone import Zones, compile_zones

_NAME = re.compile(r"[A-Za-z0-9._-]*")
"""Any host that is a name; what an address of IPv6 or a forged host has besides is in none."""


class SnapshotError(ValueError):
    """A delta that can't be applied; the old snapshot holds."""


# Noun, as resource names begin with it -> field of Snapshot, how to compile. Tables come last: they hold compiled
# Plans.
NOUNS: Mapping[str, tuple[str, Callable[[str, Any], object]]] = {
    "scope": ("scopes", compile_scope),
    "plan": ("plans", compile_plan),
    "auth": ("auths", compile_auth),
    "keyset": ("keysets", lambda _, wire: compile_keyset(wire.jwks)),
    "apikeys": ("apikeys", compile_apikeys),
    "users": ("users", lambda _, wire: compile_users(wire)),
    "addresslist": ("addresslists", lambda _, wire: compile_addresslist(wire)),
    "oidc": ("oidc", compile_oidc_client),
    "limit": ("limits", compile_limit),
    "tenant": ("tenants", lambda _, wire: compile_tenant(wire)),
    "shards": ("shards", lambda _, wire: compile_shards(wire)),
    "upstream": ("upstreams", compile_upstream),
    "zones": ("zones", lambda _, wire: compile_zones(wire)),
    "schema": ("schemas", compile_schema),
    "eventhook": ("eventhooks", compile_eventhook),
    "workload": ("workloads", compile_workload),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Snapshot:
    """Everything by name, the noun left out: `scopes["shop/public|api.example.com"]`."""

    scopes: Mapping[str, Scope] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)
    plans: Mapping[str, Plan] = field(default_factory=dict)
    auths: Mapping[str, Auth] = field(default_factory=dict)
    keysets: Mapping[str, KeySet] = field(default_factory=dict)
    apikeys: Mapping[str, ApiKeys] = field(default_factory=dict)
    users: Mapping[str, Users] = field(default_factory=dict)
    addresslists: Mapping[str, AddressList] = field(default_factory=dict)
    oidc: Mapping[str, OidcClient] = field(default_factory=dict)
    limits: Mapping[str, Limit] = field(default_factory=dict)
    tenants: Mapping[str, Tenant] = field(default_factory=dict)
    shards: Mapping[str, ShardSet] = field(default_factory=dict)
    upstreams: Mapping[str, Upstream] = field(default_factory=dict)
    zones: Mapping[str, Zones] = field(default_factory=dict)
    """Of Upstreams whose requests stay in the proxies' own zones."""
    schemas: Mapping[str, Schema] = field(default_factory=dict)
    eventhooks: Mapping[str, EventHook] = field(default_factory=dict)
    workloads: Mapping[str, Workload] = field(default_factory=dict)

    @classmethod
    def empty(cls) -> Snapshot:
        """Returns the snapshot that knows nothing."""
        return cls()

    def apply(self, upserts: Iterable[snapshot_pb2.Resource], removed: Iterable[str] = ()) -> Snapshot:
        """Returns the next snapshot. Raises SnapshotError when the delta can't be applied; then nothing has changed."""
        changed = _Changed(self)
        tables = []
        for resource in upserts:
            noun, _, name = resource.name.partition("/")
            if resource.WhichOneof("body") != noun:
                raise SnapshotError(f"{resource.name} does not hold what its name says")
            if noun == "table":
                tables.append((name, resource.table))
                continue
            attribute, compile_ = NOUNS[noun]
            try:
                changed.of(attribute)[name] = compile_(name, getattr(resource, noun))
            except ValueError as error:
                raise SnapshotError(f"{resource.name}: {error}") from error
        for name, table in tables:
            changed.of("tables")[name] = _link_table(name, table, changed.seen("plans"), self.tables.get(name))
        for full_name in removed:
            noun, _, name = full_name.partition("/")
            if noun != "table" and noun not in NOUNS:
                raise SnapshotError(f"{full_name} names nothing that is known here")
            changed.of("tables" if noun == "table" else NOUNS[noun][0]).pop(name, None)
        return changed.snapshot()

    def find_scope(self, edge: str, host: str) -> Scope | None:
        """Returns the host's scope on an Edge: the exact host, else the longest wildcard, else `*`.

        As the proxy does it: what follows a colon is no part of a name, and what has a sign that no name has, as an
        address of IPv6, is below no wildcard but `*`.
        """
        scopes = self.scopes
        host = host.partition(":")[0]
        found = scopes.get(f"{edge}|{host}")
        dot = host.find(".") if found is None and _NAME.fullmatch(host) is not None else -1
        while found is None and dot >= 0:
            found = scopes.get(f"{edge}|*{host[dot:]}")
            dot = host.find(".", dot + 1)
        return found or scopes.get(f"{edge}|*")


class _Changed:
    """The mappings of the next snapshot: those of the old one until they are written to, then copies."""

    __slots__ = ("_copies", "_old")

    def __init__(self, old: Snapshot) -> None:
        self._old = old
        self._copies: dict[str, dict[str, Any]] = {}

    def of(self, attribute: str) -> dict[str, Any]:
        """Returns a mapping to write to."""
        if attribute not in self._copies:
            self._copies[attribute] = dict(getattr(self._old, attribute))
        return self._copies[attribute]

    def seen(self, attribute: str) -> Mapping[str, Any]:
        """Returns a mapping to read."""
        return self._copies.get(attribute, getattr(self._old, attribute))

    def snapshot(self) -> Snapshot:
        """Returns the next snapshot."""
        return Snapshot(**{part.name: self.seen(part.name) for part in fields(Snapshot)})


def _link_table(name: str, wire: snapshot_pb2.Table, plans: Mapping[str, Plan], old: Table | None) -> Table:
    try:
        found = tuple([plans[plan] for plan in wire.plans])
    except KeyError as error:
        raise SnapshotError(f"table/{name} names plan {error}, which is not here") from error
    return compile_table(name, found) if old is None else old.replace(found)
