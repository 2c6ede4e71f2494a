"""How long an upstream may take, and when it is tried again.

In: parts of a rule of a Route. Called by the models of route and by translate/rule.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .durations import Duration, Period
from .lists import Items
from .meta import Model, Rule


class RuleTimeout(Model):
    """How long the upstream may take."""

    request: Duration | None = None
    """Whole request with its retries; 15s when absent, no bound for gRPC and WebSocket; 504 after."""
    idle: Duration | None = None
    """Stream without any byte; the edge's `streamIdle` when absent."""


class Retry(Model):
    """When to try again; the Upstream's retry budget bounds all retries together."""

    attempts: Annotated[int, Field(ge=1, le=10)] = 2
    """Retries after the first try."""
    retry_on: Annotated[
        tuple[
            Literal[
                "5xx",
                "gateway-error",
                "reset",
                "connect-failure",
                "retriable-4xx",
                "refused-stream",
                "unavailable",
                "resource-exhausted",
            ],
            ...,
        ],
        Items(least=1, most=8, distinct=True),
    ] = ("connect-failure", "refused-stream", "unavailable")
    """Conditions, in Envoy's words (x-envoy-retry-on, x-envoy-retry-grpc-on)."""
    per_try_timeout: Period | None = None
    """Bound on each try."""
    backoff: Period = "25ms"
    """Base of the jittered exponential backoff; at most ten times as long."""
    hedge: bool = False
    """After `perTryTimeout` a try goes on beside the next one, and the first good answer is taken."""

    rules_cel = (
        Rule(
            "!has(self.hedge) || !self.hedge || has(self.perTryTimeout)",
            "Hedging begins after perTryTimeout: say how long that is.",
            "perTryTimeout",
            lambda s: not s.hedge or s.per_try_timeout is not None,
        ),
    )
