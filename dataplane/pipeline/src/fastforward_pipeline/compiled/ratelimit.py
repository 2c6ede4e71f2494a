"""Rate limits as requests are counted by them. Made by `snapshot`; asked by stages/ratelimit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_pipeline.calendar import Period

KINDS = {
    snapshot_pb2.KEY_PART_TYPE_ADDRESS: "address",
    snapshot_pb2.KEY_PART_TYPE_API_KEY: "api-key",
    snapshot_pb2.KEY_PART_TYPE_TENANT: "tenant",
    snapshot_pb2.KEY_PART_TYPE_SUBJECT: "subject",
    snapshot_pb2.KEY_PART_TYPE_ENDPOINT: "endpoint",
    snapshot_pb2.KEY_PART_TYPE_HEADER: "header",
}


PERIODS = {
    snapshot_pb2.PERIOD_UNSPECIFIED: None,
    snapshot_pb2.PERIOD_HOUR: Period.HOUR,
    snapshot_pb2.PERIOD_DAY: Period.DAY,
    snapshot_pb2.PERIOD_WEEK: Period.WEEK,
    snapshot_pb2.PERIOD_MONTH: Period.MONTH,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Budget:
    """A bucket's size, and its gain: `requests` tokens in each `window_ms`."""

    requests: int
    window_ms: int
    burst: int

    def seconds_for(self, tokens: float) -> float:
        """Returns how long the bucket takes to gain `tokens`."""
        return tokens * self.window_ms / (self.requests * 1000.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cost:
    """What an answer costs: told at `source`, a path in JSON or `header:NAME`; `otherwise` where it is not told."""

    source: str
    otherwise: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Limit:
    """One RateLimit."""

    name: str
    key: tuple[tuple[str, str], ...]
    """What requests are counted by: kind, and name for a header."""
    budget: Budget
    plans: Mapping[str, Budget]
    tenants: Mapping[str, Budget]
    exact: bool
    fail_open: bool
    shadow: bool
    period: Period | None
    """Of quotas."""
    cost: Cost | None = None
    """Of answers, where budgets count that instead of requests."""
    lease_ms: int = 0
    """Above 0, budgets bound requests under way; each is counted for as long at most."""

    def budget_for(self, tenant: str, plan: str) -> Budget:
        """Returns the tenant's own budget, or its plan's, or everybody's."""
        return self.tenants.get(tenant) or self.plans.get(plan) or self.budget


def compile_limit(name: str, wire: snapshot_pb2.Limit) -> Limit:
    """Returns the compiled limit. Raises ValueError on what can't be counted."""
    if not all(part.type in KINDS for part in wire.key):
        raise ValueError(f"limit {name} counts by something that is not known here")
    if wire.period not in PERIODS:
        raise ValueError(f"limit {name} is for a period that is not known here")
    return Limit(
        name=name,
        key=tuple((KINDS[part.type], part.header.lower()) for part in wire.key),
        budget=_compile_budget(name, wire.budget),
        plans={plan: _compile_budget(name, budget) for plan, budget in wire.plans.items()},
        tenants={tenant: _compile_budget(name, budget) for tenant, budget in wire.tenants.items()},
        exact=wire.exact,
        fail_open=wire.fail_open,
        shadow=wire.shadow,
        period=PERIODS[wire.period],
        cost=_compile_cost(wire.cost) if wire.HasField("cost") else None,
        lease_ms=wire.lease_ms,
    )


def _compile_cost(wire: snapshot_pb2.Cost) -> Cost:
    return Cost(source=wire.path or f"header:{wire.header.lower()}", otherwise=wire.otherwise)


def _compile_budget(name: str, wire: snapshot_pb2.Budget) -> Budget:
    if not (wire.requests and wire.window_ms and wire.burst):
        raise ValueError(f"a budget of limit {name} is empty")
    return Budget(requests=wire.requests, window_ms=wire.window_ms, burst=wire.burst)
