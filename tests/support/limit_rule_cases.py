"""Cases of the rules of RateLimits. Called by rule_cases."""

from __future__ import annotations

import fastforward_crds as crds

from support.rule_case import case

EDGE = {"kind": "Edge", "name": "e"}

CASES = (
    case(
        crds.KeyPart,
        "A header goes with type: Header, and only with it.",
        "header",
        kept=[{"type": "Header", "header": "h"}, {"type": "Tenant"}],
        broken=[{"type": "Header"}, {"type": "Tenant", "header": "h"}],
    ),
    case(
        crds.RateLimitSpec,
        "A quota needs enforcement: Exact: proxies keep no account over restarts.",
        "period",
        kept=[
            {"targets": [EDGE], "budget": {"requests": 1}, "period": "Day", "enforcement": "Exact"},
            {"targets": [EDGE], "budget": {"requests": 1}, "enforcement": "PerProxy"},
        ],
        broken=[{"targets": [EDGE], "budget": {"requests": 1}, "period": "Month"}],
    ),
    case(
        crds.Cost,
        "A cost is told by either path or header.",
        "",
        kept=[{"path": "usage.total_tokens"}, {"header": "x-units", "otherwise": 0}],
        broken=[{}, {"path": "usage.total_tokens", "header": "x-units"}],
    ),
    case(
        crds.RateLimitSpec,
        "Costs need enforcement: Exact: they are told to the decision service.",
        "cost",
        kept=[
            {"targets": [EDGE], "budget": {"requests": 1}, "cost": {"path": "a"}, "enforcement": "Exact"},
            {"targets": [EDGE], "budget": {"requests": 1}},
        ],
        broken=[{"targets": [EDGE], "budget": {"requests": 1}, "cost": {"path": "a"}}],
    ),
    case(
        crds.RateLimitSpec,
        "Requests under way need enforcement: Exact: their ends are told to the decision service.",
        "concurrency",
        kept=[{"targets": [EDGE], "budget": {"requests": 1}, "concurrency": {}, "enforcement": "Exact"}],
        broken=[{"targets": [EDGE], "budget": {"requests": 1}, "concurrency": {}}],
    ),
    case(
        crds.RateLimitSpec,
        "Requests under way have neither a cost nor a period.",
        "concurrency",
        kept=[
            {"targets": [EDGE], "budget": {"requests": 1}, "concurrency": {}, "enforcement": "Exact"},
            {
                "targets": [EDGE],
                "budget": {"requests": 1},
                "cost": {"path": "a"},
                "period": "Day",
                "enforcement": "Exact",
            },
        ],
        broken=[
            {
                "targets": [EDGE],
                "budget": {"requests": 1},
                "concurrency": {},
                "cost": {"path": "a"},
                "enforcement": "Exact",
            },
            {
                "targets": [EDGE],
                "budget": {"requests": 1},
                "concurrency": {},
                "period": "Day",
                "enforcement": "Exact",
            },
        ],
    ),
    case(
        crds.RateLimitSpec,
        "Plans need Tenant in the key.",
        "plans",
        kept=[
            {"targets": [EDGE], "budget": {"requests": 1}, "plans": []},
            {
                "targets": [EDGE],
                "budget": {"requests": 1},
                "plans": [{"plan": "a", "requests": 1}],
                "key": [{"type": "Address"}, {"type": "Tenant"}],
            },
        ],
        broken=[
            {"targets": [EDGE], "budget": {"requests": 1}, "plans": [{"plan": "a", "requests": 1}]},
            {
                "targets": [EDGE],
                "budget": {"requests": 1},
                "plans": [{"plan": "a", "requests": 1}],
                "key": [{"type": "Address"}],
            },
        ],
    ),
)
