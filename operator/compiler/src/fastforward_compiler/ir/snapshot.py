"""Everything compiled, as one immutable value. Made by compile; read by emit. Every tuple is sorted by name."""

from __future__ import annotations

from dataclasses import dataclass

from .addresslist import AddressList
from .authpolicy import ApiKeys, Auth, KeySet, Users
from .edge import Edge
from .eventhook import EventHook
from .oidc import OidcClient
from .ratelimit import Limit
from .schema import Schema
from .shard import Shard
from .table import Scope, Table
from .tenant import Tenant
from .upstream import Upstream
from .workload import RemoteStages, Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The compiled World."""

    edges: tuple[Edge, ...] = ()
    scopes: tuple[Scope, ...] = ()
    tables: tuple[Table, ...] = ()
    upstreams: tuple[Upstream, ...] = ()
    auths: tuple[Auth, ...] = ()
    keysets: tuple[KeySet, ...] = ()
    apikeys: tuple[ApiKeys, ...] = ()
    users: tuple[Users, ...] = ()
    oidc: tuple[OidcClient, ...] = ()
    limits: tuple[Limit, ...] = ()
    tenants: tuple[Tenant, ...] = ()
    shards: tuple[Shard, ...] = ()
    schemas: tuple[Schema, ...] = ()
    eventhooks: tuple[EventHook, ...] = ()
    workloads: tuple[Workload, ...] = ()
    stages: tuple[RemoteStages, ...] = ()
    addresslists: tuple[AddressList, ...] = ()
