"""How many requests may be under way at once, found by how long they take.

In: a part of an Edge document. Out: `AdaptiveConcurrency`. Called by edge and by the compiler's translate/concurrency.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from .durations import DURATION, Within
from .meta import Model, Rule


class AdaptiveConcurrency(Model):
    """A bound on the requests under way in each proxy that follows how long they take: 503 above.

    It sinks when answers take longer than they do when hardly anything is asked, and rises when they don't. It is one
    for all of the edge's upstreams; `circuitBreaker.maxRequests` of an Upstream is a fixed one for that alone.
    """

    least: Annotated[int, Field(ge=1, le=100_000)] = 3
    """What the bound never sinks below; so many are also let in while it is measured how long answers take at rest."""
    most: Annotated[int, Field(ge=1, le=100_000)] = 1000
    """What it never rises above."""
    percentile: Annotated[int, Field(ge=1, le=99)] = 50
    """Of the times that answers take, the one that is looked at."""
    measure_every: Annotated[str, DURATION, Within("1s", "1h")] = "1m"
    """How often it is measured anew how long answers take at rest."""

    rules_cel = (
        Rule(
            "self.least <= self.most",
            "The least is no more than the most.",
            "least",
            lambda s: s.least <= s.most,
        ),
    )
