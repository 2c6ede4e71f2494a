"""Token buckets in memory: the counter store of a single process.

In: TakeTokens and the time. Out: a Verdict. Called by `run`, by EntryPoint when there is no Redis, and by the CLI. A
bucket that nobody asks for is full again in time, so the longest unused ones may be forgotten.
"""

from __future__ import annotations

from .effects import Level, TakeTokens, Verdict

# A token that rounding made a little smaller is a token still.
_ENOUGH = 1.0 - 1e-9


class TokenBuckets:
    """At most `capacity` buckets; the longest unused go first."""

    def __init__(self, capacity: int = 1_000_000) -> None:
        self._capacity = capacity
        # Tokens and the time at which there were as many; the order is that of the last use.
        self._buckets: dict[str, tuple[float, float]] = {}

    @property
    def size(self) -> int:
        """How many buckets are kept."""
        return len(self._buckets)

    def take(self, effect: TakeTokens, now: float) -> Verdict:
        """Takes the tokens, whole or not at all. `now` is in seconds; a clock that goes back gains nothing."""
        buckets = self._buckets
        held: list[tuple[float, float]] = []
        denied = False
        for bucket in effect.buckets:
            known = buckets.pop(bucket.key, None)
            if known is None:
                tokens, since = float(bucket.burst), now
            else:
                since = max(now, known[1])
                gained = (since - known[1]) * bucket.requests * 1000.0 / bucket.window_ms
                tokens = min(float(bucket.burst), known[0] + gained)
            held.append((tokens, since))
            denied = denied or (tokens < _ENOUGH and not bucket.shadow)
        levels = []
        for bucket, (tokens, since) in zip(effect.buckets, held, strict=True):
            refused = tokens < _ENOUGH
            left = tokens if denied or refused else max(tokens - 1.0, 0.0)
            buckets[bucket.key] = (left, since)
            levels.append(Level(refused, left))
        while len(buckets) > self._capacity:
            del buckets[next(iter(buckets))]
        return Verdict(tuple(levels))
