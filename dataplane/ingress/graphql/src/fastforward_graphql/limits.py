"""What a request may cost: judged before anything of it is executed.

In: the limits that a rule says, what an operation costs, its variables. Out: a GraphQLError that says which limit is
passed, or None. Called by execution.
"""

from __future__ import annotations

from collections.abc import Mapping

from fastforward_pipeline.reason import Reason
from graphql import GraphQLError

from fastforward.snapshot.v1 import snapshot_pb2

from .errors import refusal
from .measure import Cost, Pricing


def judge_cost(cost: Cost, limits: snapshot_pb2.GraphqlLimits, variables: Mapping[str, object]) -> GraphQLError | None:
    """Returns why the operation is not executed, with what it costs and what it may."""
    if cost.introspects and not limits.introspection:
        return refusal(Reason.INTROSPECTION_OFF)
    if cost.depth > limits.depth:
        return _above(Reason.QUERY_TOO_DEEP, cost.depth, limits.depth)
    if cost.aliases > limits.aliases:
        return _above(Reason.TOO_MANY_ALIASES, cost.aliases, limits.aliases)
    pricing = Pricing(variables, limits.page_size)
    complexity = pricing.count(cost)
    if pricing.biggest_page > limits.page_size:
        return _above(Reason.PAGE_TOO_LARGE, pricing.biggest_page, limits.page_size)
    if complexity > limits.complexity:
        return _above(Reason.QUERY_TOO_COMPLEX, complexity, limits.complexity)
    return None


def judge_batch(operations: int, limits: snapshot_pb2.GraphqlLimits) -> GraphQLError | None:
    """Returns why so many operations are too many in one request."""
    return _above(Reason.BATCH_TOO_LARGE, operations, limits.batch) if operations > limits.batch else None


def _above(reason: Reason, is_: int, most: int) -> GraphQLError:
    told = str(is_) if is_ < 10**9 else "more than 1000000000"
    return refusal(reason, f"{refusal(reason).message}: {told}, at most {most}")
