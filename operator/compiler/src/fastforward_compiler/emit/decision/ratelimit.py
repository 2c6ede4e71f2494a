"""Limits to their wire form. Called by emitter."""

from __future__ import annotations

from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_compiler import ir

KEY_PARTS = {
    "Address": snapshot_pb2.KEY_PART_TYPE_ADDRESS,
    "ApiKey": snapshot_pb2.KEY_PART_TYPE_API_KEY,
    "Tenant": snapshot_pb2.KEY_PART_TYPE_TENANT,
    "Subject": snapshot_pb2.KEY_PART_TYPE_SUBJECT,
    "Endpoint": snapshot_pb2.KEY_PART_TYPE_ENDPOINT,
    "Header": snapshot_pb2.KEY_PART_TYPE_HEADER,
}


PERIODS = {
    "": snapshot_pb2.PERIOD_UNSPECIFIED,
    "Hour": snapshot_pb2.PERIOD_HOUR,
    "Day": snapshot_pb2.PERIOD_DAY,
    "Week": snapshot_pb2.PERIOD_WEEK,
    "Month": snapshot_pb2.PERIOD_MONTH,
}


def emit_limit(limit: ir.Limit) -> snapshot_pb2.Limit:
    """Returns the wire form of a rate limit."""
    return snapshot_pb2.Limit(
        key=[snapshot_pb2.KeyPart(type=KEY_PARTS[part.type], header=part.header) for part in limit.key],
        budget=emit_budget(limit.budget),
        plans={plan: emit_budget(budget) for plan, budget in limit.plans},
        tenants={tenant: emit_budget(budget) for tenant, budget in limit.tenants},
        exact=limit.exact,
        fail_open=limit.fail_open,
        shadow=limit.shadow,
        period=PERIODS[limit.period],
        cost=emit_cost(limit.cost),
        lease_ms=limit.lease_ms,
    )


def emit_cost(cost: ir.Cost | None) -> snapshot_pb2.Cost | None:
    """Returns the wire form of what answers cost."""
    if cost is None:
        return None
    return snapshot_pb2.Cost(path=cost.path, header=cost.header, otherwise=cost.otherwise)


def emit_budget(budget: ir.Budget) -> snapshot_pb2.Budget:
    """Returns the wire form of a token bucket's size and speed."""
    return snapshot_pb2.Budget(requests=budget.requests, window_ms=budget.window_ms, burst=budget.burst)
