"""Counts in this process: exact as long as it is the only one.

In: a request's buckets. Out: the verdict, at once. A clock that the wall clock's jumps don't reach counts.
"""

import time
from collections.abc import Callable

import structlog
from fastforward_pipeline.buckets import TokenBuckets
from fastforward_pipeline.effects import Bucket, TakeTokens, Verdict

log = structlog.get_logger(__name__)


class InProcessCounterStore:
    """At most `capacity` buckets. A restart begins with full ones."""

    def __init__(self, *, capacity: int = 1_000_000, clock: Callable[[], float] = time.monotonic) -> None:
        self._buckets = TokenBuckets(capacity)
        self._clock = clock
        self._said = False

    def take(self, effect: TakeTokens) -> Verdict:
        """See the port."""
        if not self._said and any(isinstance(bucket, Bucket) and not bucket.requests for bucket in effect.buckets):
            self._said = True
            log.warning("quotas are counted in this process alone: a restart begins them anew; Redis would keep them")
        return self._buckets.take(effect, self._clock())
