"""How a hop behaves: plain values, made from Workload resources, checked when they are made.

Read by hop and its parts. All times are seconds. A part that is None is not there, and costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass


def require(met: bool, message: str) -> None:
    """Raises ValueError with the message unless it is met."""
    if not met:
        raise ValueError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Further tries, after pauses that grow exponentially and are drawn evenly from zero ("full jitter").

    The budget bounds what retries add when everything fails: each call brings `budget_share` of a retry, and
    `budget_per_s` come by themselves (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/,
    and Finagle's RetryBudget).
    """

    tries: int = 3
    """In all, the first included."""
    base_s: float = 0.025
    """The first pause is between 0 and this; the longest possible one doubles each time."""
    max_s: float = 1.0
    budget_share: float = 0.2
    budget_per_s: float = 1.0
    budget_most: float = 100.0
    """Retries that can be saved up."""

    def __post_init__(self) -> None:
        require(self.tries >= 1, "retry.tries: at least 1")
        require(0 <= self.base_s <= self.max_s, "retry.base_s: between 0 and max_s")
        require(self.budget_share >= 0 and self.budget_per_s >= 0, "retry.budget_share, budget_per_s: not negative")
        require(self.budget_most >= 1, "retry.budget_most: at least 1")

    def pause_s(self, failed: int, jitter: float) -> float:
        """Returns the pause after so many failed tries; `jitter` was drawn from [0, 1)."""
        return jitter * min(self.max_s, self.base_s * 2.0 ** (failed - 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """When a callee is left alone: after so many failures, or such a share of them, within a sliding window."""

    window_s: float = 10.0
    failures: int | None = None
    """So many within the window open it; None: the count alone never does."""
    failure_share: float | None = 0.5
    """Such a share opens it, from `least_calls` on; None: the share never does."""
    least_calls: int = 20
    open_s: float = 1.0
    """The first time. Each probe that fails doubles it, up to `max_open_s`."""
    max_open_s: float = 30.0
    probes: int = 1
    """Calls that are let through at once when that time is over; so many good ones in a row close it."""

    def __post_init__(self) -> None:
        require(self.window_s > 0, "breaker.window_s: above 0")
        require(self.failures is None or self.failures >= 1, "breaker.failures: at least 1")
        require(self.failure_share is None or 0 < self.failure_share <= 1, "breaker.failure_share: above 0, at most 1")
        require(self.least_calls >= 1 and self.probes >= 1, "breaker.least_calls, probes: at least 1")
        require(0 < self.open_s <= self.max_open_s, "breaker.open_s: above 0, at most max_open_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Adaptive:
    """A limit that follows the callee: it grows while answers are as quick as ever, and shrinks when they queue up.

    With each answer the limit is multiplied by how much quicker the quickest one was, within 0.5 and 1, and gets room
    for a queue of its square root, as Envoy's gradient controller has it
    (https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/adaptive_concurrency_filter).
    """

    least: int = 1
    most: int = 1000
    tolerance: float = 1.5
    """So many times the quickest is still as quick as ever."""
    smoothing: float = 0.2

    def __post_init__(self) -> None:
        require(1 <= self.least <= self.most, "adaptive.least: at least 1, at most most")
        require(self.tolerance >= 1, "adaptive.tolerance: at least 1")
        require(0 < self.smoothing <= 1, "adaptive.smoothing: above 0, at most 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulkhead:
    """How many calls may be on their way at once, how many may wait for a place, and how long."""

    concurrent: int = 100
    """With `adaptive`, what the limit begins with."""
    queue: int = 0
    queue_s: float = 1.0
    adaptive: Adaptive | None = None

    def __post_init__(self) -> None:
        require(self.concurrent >= 1, "bulkhead.concurrent: at least 1")
        require(self.queue >= 0 and self.queue_s >= 0, "bulkhead.queue, queue_s: not negative")
        if self.adaptive is not None:
            within = self.adaptive.least <= self.concurrent <= self.adaptive.most
            require(within, "bulkhead.concurrent: between adaptive.least and adaptive.most")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hedge:
    """A second try beside one that takes long; the first answer counts. Only for what may be done twice.

    It spends the retry budget, when there is one (Dean and Barroso, "The Tail at Scale", 2013).
    """

    after_s: float

    def __post_init__(self) -> None:
        require(self.after_s > 0, "hedge.after_s: above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A hop's behaviour, from the outside in: this is the order in which the parts surround a call."""

    timeout_s: float | None = 15.0
    """Of the whole call, with all tries and pauses. A caller's deadline that is nearer counts instead."""
    bulkhead: Bulkhead | None = None
    retry: Retry | None = None
    hedge: Hedge | None = None
    breaker: Breaker | None = None
    try_timeout_s: float | None = None

    def __post_init__(self) -> None:
        require(self.timeout_s is None or self.timeout_s > 0, "timeout_s: above 0")
        require(self.try_timeout_s is None or self.try_timeout_s > 0, "try_timeout_s: above 0")
