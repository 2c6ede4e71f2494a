"""Tenant: whose request it is. Place in the tree of tenants, plan, home shard, flags, limits.

In: a Tenant document. Out: `Tenant`. Called by parse and by the compiler's translate/tenant.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .durations import Period
from .formats import Host, Label, Name
from .lists import Items
from .meta import Model, Resource


class TenantLimit(Model):
    """A RateLimit's budget for this tenant."""

    rate_limit: Name
    """Name of the RateLimit, in the tenant's namespace."""
    requests: Annotated[int, Field(ge=1, le=1_000_000_000)]
    """Requests in a window."""
    window: Period = "1m"
    """Length of the window."""
    burst: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    """Requests at once; `requests` when absent."""


class TenantSpec(Model):
    """What a Tenant says. What is absent is inherited from the parent."""

    parent: Name | None = None
    """Parent tenant, in the same namespace; whoever may speak for it may speak for this one."""
    plan: Label | None = None
    """Plan; RateLimits may give budgets by plan."""
    hosts: Annotated[tuple[Host, ...], Items(most=64, distinct=True)] = ()
    """Hosts whose requests belong to this tenant, without any further proof."""
    shard: Name | None = None
    """Home Shard, in the same namespace; Routes of other namespaces hash their `shards.key` instead. As long as an
    ancestor who may name it is not there, rules that lead to Shards answer 503: data that belongs in one shard goes to
    no other.
    """
    region: Label | None = None
    """Region."""
    flags: Annotated[tuple[Label, ...], Items(most=64, distinct=True)] = ()
    """Feature flags that are on; the parent's are on as well."""
    limits: Annotated[tuple[TenantLimit, ...], Items(most=32, key="rateLimit")] = ()
    """Budgets of its own, one a RateLimit."""


class Tenant(Resource):
    """Whose request it is. Its name is what claims, keys and headers carry."""

    kind: Literal["Tenant"] = "Tenant"
    spec: TenantSpec = TenantSpec()
