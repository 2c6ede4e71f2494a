"""What `decide` asks of the world while it runs, and the answers. There is one effect: taking tokens from buckets.

Yielded by stages/ratelimit; answered by `buckets.TokenBuckets` or by EntryPoint's counter store.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bucket:
    """A token bucket: it holds `burst` tokens and gains `requests` in each `window_ms`, evenly; it begins full.

    One that gains nothing (`requests` is 0) is a quota: it must be kept for `window_ms`, and is never asked after that.
    """

    key: str
    """Unique for limit and counted values: `{NAMESPACE/NAME}DIGEST`."""
    burst: int
    requests: int
    window_ms: int
    shadow: bool = False
    """Watched only: an empty one refuses nothing."""


@dataclass(frozen=True, slots=True)
class TakeTokens:
    """Take one token from each bucket, or from none when a bucket that is not in the shadow has less than one.

    A bucket in the shadow that has less than one gives nothing and hinders nobody.
    """

    buckets: tuple[Bucket, ...]


@dataclass(frozen=True, slots=True)
class Level:
    """One bucket afterwards: whether it had less than one token, and the tokens that it has now."""

    refused: bool
    tokens: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer: a Level for each bucket, in order."""

    levels: tuple[Level, ...]


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The other answer: the counters can't be reached in time."""


Answer = Verdict | Unavailable
