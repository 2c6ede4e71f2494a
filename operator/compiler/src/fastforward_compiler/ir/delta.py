"""What a batch of changed objects changed in the Snapshot, and what is to be said of each object.

Made by compile; read by emit (what to emit again) and by the operator (what to report).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from fastforward_compiler.problem import ObjectRef, Problem

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
from .verdict import Part, Verdict
from .workload import RemoteStages, Workload

T = TypeVar("T")

Output = tuple[str, str]
"""(noun, name) of an IR value, for example ("table", "shop/public|api.example.com#")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes(Generic[T]):
    """The new or changed values of one noun, and the names of those that are gone."""

    upserts: tuple[T, ...] = ()
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What is known of one object after compiling; the operator adds what the proxies acknowledged."""

    ref: ObjectRef
    generation: int
    problems: tuple[Problem, ...] = ()
    effective: tuple[str, ...] = ()
    """Policies that apply to a Route: `AuthPolicy shop/members`, in order of attachment."""
    outputs: Collection[Output] = ()
    """What must be acknowledged before the object is Programmed; a sorted tuple where there are few, else a set."""
    verdicts: tuple[Verdict, ...] = ()
    """What is said of the whole object in other words than its Problems give."""
    parts: tuple[Part, ...] = ()
    addresses: tuple[str, ...] = ()
    """Of a Gateway: where it is reached."""
    attached_sets: int = 0
    silent: bool = False
    """Whether nothing is to be said, as long as the object is nobody's business here."""
    """Of a Gateway: how many ListenerSets belong to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """One step from a Snapshot to the next.

    A Table is among the upserts also when an Auth, Limit or Scope that it names changed.
    """

    edges: Changes[Edge] = Changes()
    scopes: Changes[Scope] = Changes()
    tables: Changes[Table] = Changes()
    upstreams: Changes[Upstream] = Changes()
    auths: Changes[Auth] = Changes()
    keysets: Changes[KeySet] = Changes()
    apikeys: Changes[ApiKeys] = Changes()
    users: Changes[Users] = Changes()
    oidc: Changes[OidcClient] = Changes()
    limits: Changes[Limit] = Changes()
    tenants: Changes[Tenant] = Changes()
    shards: Changes[Shard] = Changes()
    schemas: Changes[Schema] = Changes()
    eventhooks: Changes[EventHook] = Changes()
    workloads: Changes[Workload] = Changes()
    stages: Changes[RemoteStages] = Changes()
    addresslists: Changes[AddressList] = Changes()
    reports: Mapping[ObjectRef, Report | None] = field(default_factory=dict)
    """Changed reports; None for an object that is gone."""
    translated: int = 0
    """Objects translated again: what the step cost."""
    due: datetime | None = None
    """When the next step is, though nothing else changes: a rule begins or ends to hold. None for never."""
