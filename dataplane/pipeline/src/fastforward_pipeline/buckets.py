"""Token buckets in memory, and places for requests under way: the counter store of a single process.

In: TakeTokens and the time. Out: a Verdict. Called by `run`, by EntryPoint when there is no Redis, and by the CLI. A
bucket that nobody asks for is full again in time, so the longest unused ones may be forgotten.
"""

from __future__ import annotations

from .effects import Bucket, GiveBack, Level, Slots, TakeTokens, Verdict

# A token that rounding made a little smaller is a token still.
_ROUNDING = 1e-9


class TokenBuckets:
    """At most `capacity` buckets, and as many keys with places; the longest unused go first."""

    def __init__(self, capacity: int = 1_000_000) -> None:
        self._capacity = capacity
        # Tokens and the time at which there were as many; the order is that of the last use. Of a quota those that were
        # used, below nothing, so that another budget counts at once.
        self._buckets: dict[str, tuple[float, float]] = {}
        # By key: who holds a place, and until when.
        self._leases: dict[str, dict[str, float]] = {}
        self._taken = 0

    @property
    def size(self) -> int:
        """How many buckets are kept, and keys with places."""
        return len(self._buckets) + len(self._leases)

    def take(self, effect: TakeTokens, now: float) -> Verdict:
        """Takes the tokens, whole or not at all. `now` is in seconds; a clock that goes back gains nothing."""
        held: list[tuple[float, float]] = []
        short: list[bool] = []
        denied = False
        for bucket in effect.buckets:
            there, since = self._find(bucket, now)
            held.append((there, since))
            lacks = there < _least(bucket) - _ROUNDING
            short.append(lacks)
            denied = denied or (lacks and not _is_watched(bucket))
        holder = str(self._taken)
        self._taken += 1
        levels = []
        for bucket, (there, since), lacks in zip(effect.buckets, held, short, strict=True):
            left = self._keep(bucket, there, since, holder, takes=not (denied or lacks))
            levels.append(Level(lacks, left))
        for kept in (self._buckets, self._leases):
            while len(kept) > self._capacity:
                del kept[next(iter(kept))]
        return Verdict(tuple(levels), holder)

    def _find(self, bucket: Bucket | Slots | GiveBack, now: float) -> tuple[float, float]:
        """What there is, and since when."""
        if isinstance(bucket, Bucket):
            known = self._buckets.pop(bucket.key, None)
            if known is None:
                return float(bucket.burst), now
            since = max(now, known[1])
            if not bucket.requests:
                return bucket.burst + known[0], since
            gained = (since - known[1]) * bucket.requests * 1000.0 / bucket.window_ms
            return min(float(bucket.burst), known[0] + gained), since
        leases = self._leases.pop(bucket.key, {})
        leases = {holder: until for holder, until in leases.items() if until > now}
        if leases:
            self._leases[bucket.key] = leases
        return (float(bucket.most - len(leases)) if isinstance(bucket, Slots) else 0.0), now

    def _keep(
        self, bucket: Bucket | Slots | GiveBack, there: float, since: float, holder: str, *, takes: bool
    ) -> float:
        """What is left."""
        if isinstance(bucket, Bucket):
            left = there - bucket.cost if takes else there
            left = max(left, 0.0) if -_ROUNDING < left < 0.0 else left
            self._buckets[bucket.key] = (left if bucket.requests else left - bucket.burst, since)
            return left
        if isinstance(bucket, GiveBack):
            leases = self._leases.get(bucket.key, {})
            leases.pop(bucket.holder, None)
            if not leases:
                self._leases.pop(bucket.key, None)
            return 0.0
        if takes:
            self._leases.setdefault(bucket.key, {})[holder] = since + bucket.lease_ms / 1000.0
        return there - 1.0 if takes else there


def _least(bucket: Bucket | Slots | GiveBack) -> float:
    if isinstance(bucket, Bucket):
        return bucket.least
    return 1.0 if isinstance(bucket, Slots) else 0.0


def _is_watched(bucket: Bucket | Slots | GiveBack) -> bool:
    return not isinstance(bucket, GiveBack) and bucket.shadow
