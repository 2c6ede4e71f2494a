"""RateLimit: how many requests, by which key (token bucket, quota of a calendar period, or requests under way).

In: a RateLimit document. Out: `RateLimit`. Called by parse and by the compiler's translate/ratelimit.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .durations import Period
from .formats import HeaderName, JsonPath, Label
from .lists import Items
from .meta import Model, PolicyTarget, Resource, Rule


class KeyPart(Model):
    """One thing that requests are counted by."""

    type: Literal["Address", "ApiKey", "Tenant", "Subject", "Endpoint", "Header"]
    """Client address, API key, tenant, authenticated subject, route rule, or a request header's value."""
    header: HeaderName | None = None
    """Header, with `type: Header`."""

    rules_cel = (
        Rule(
            "has(self.header) == (self.type == 'Header')",
            "A header goes with type: Header, and only with it.",
            "header",
            lambda s: (s.header is not None) == (s.type == "Header"),
        ),
    )


class Budget(Model):
    """A token bucket: it holds `burst` requests and refills evenly, `requests` in each `window`."""

    requests: Annotated[int, Field(ge=1, le=1_000_000_000)]
    """Requests in a window."""
    window: Period = "1m"
    """Length of the window."""
    burst: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    """Requests at once; `requests` when absent."""


class PlanBudget(Budget):
    """The budget for tenants of one plan."""

    plan: Label
    """Plan, as in Tenant `plan`."""


class Cost(Model):
    """What an answer costs, as the answer itself tells."""

    path: JsonPath | None = None
    """Where its JSON tells: `usage.total_tokens`, as model servers with OpenAI's API do. Of a stream of events
    (`text/event-stream`) the last event that tells counts.
    """
    header: HeaderName | None = None
    """Response header that tells instead."""
    otherwise: Annotated[int, Field(ge=0, le=1_000_000_000)] = 1
    """What a successful answer (2xx) costs that does not tell; others that don't, cost nothing."""

    rules_cel = (
        Rule(
            "has(self.path) != has(self.header)",
            "A cost is told by either path or header.",
            "",
            lambda s: (s.path is None) != (s.header is None),
        ),
    )


class Concurrency(Model):
    """How requests under way are counted."""

    lease: Period = "10m"
    """The longest that one is counted: when its end can't be told, as of a proxy that is killed, its place is free
    again then. A request that lasts longer is counted no more.
    """


class RateLimitSpec(Model):
    """What a RateLimit says."""

    targets: Annotated[tuple[PolicyTarget, ...], Items(least=1, most=64)]
    """Edges, Gateways and routes that it applies to. All limits on a request count; the tightest one decides."""
    key: Annotated[tuple[KeyPart, ...], Items(most=4)] = ()
    """What requests are counted by, together; all requests in one bucket when empty."""
    budget: Budget
    """The budget of each bucket."""
    plans: Annotated[tuple[PlanBudget, ...], Items(most=32, key="plan")] = ()
    """Budgets by the tenant's plan; a Tenant's own `limits` come before them."""
    period: Literal["Hour", "Day", "Week", "Month"] | None = None
    """Makes every budget a quota: its `requests`, and those of plans and tenants, may be used in each calendar period
    (UTC; weeks begin on Monday) whenever they are, and come back together when the next one begins. `window` and
    `burst` say nothing then. Needs Exact; with Redis a quota outlasts restarts, without it does not.
    """
    cost: Cost | None = None
    """Makes budgets count what answers cost, in the units that these tell, rather than requests. A request passes
    while there is a whole unit left; what its answer costs is taken when it has ended, and may leave less than nothing.
    Needs Exact.
    """
    concurrency: Concurrency | None = None
    """Makes every budget a bound on requests under way: its `requests`, and those of plans and tenants, may be there at
    once. `window` and `burst` say nothing then. Needs Exact.
    """
    enforcement: Literal["Exact", "PerProxy"] = "PerProxy"
    """Exact counts over all proxies together, by the decision service; PerProxy counts in each proxy, natively."""
    on_failure: Literal["Open", "Closed"] = "Open"
    """What happens when the counters can't be reached, with Exact."""
    shadow: bool = False
    """Count and report, but let everything pass."""

    rules_cel = (
        Rule(
            "!has(self.plans) || size(self.plans) == 0 || (has(self.key) && self.key.exists(k, k.type == 'Tenant'))",
            "Plans need Tenant in the key.",
            "plans",
            lambda s: not s.plans or any(part.type == "Tenant" for part in s.key),
        ),
        Rule(
            "!has(self.period) || self.enforcement == 'Exact'",
            "A quota needs enforcement: Exact: proxies keep no account over restarts.",
            "period",
            lambda s: s.period is None or s.enforcement == "Exact",
        ),
        Rule(
            "!has(self.cost) || self.enforcement == 'Exact'",
            "Costs need enforcement: Exact: they are told to the decision service.",
            "cost",
            lambda s: s.cost is None or s.enforcement == "Exact",
        ),
        Rule(
            "!has(self.concurrency) || self.enforcement == 'Exact'",
            "Requests under way need enforcement: Exact: their ends are told to the decision service.",
            "concurrency",
            lambda s: s.concurrency is None or s.enforcement == "Exact",
        ),
        Rule(
            "!has(self.concurrency) || !(has(self.cost) || has(self.period))",
            "Requests under way have neither a cost nor a period.",
            "concurrency",
            lambda s: s.concurrency is None or (s.cost is None and s.period is None),
        ),
    )


class RateLimit(Resource):
    """How many requests, by which key."""

    kind: Literal["RateLimit"] = "RateLimit"
    spec: RateLimitSpec
