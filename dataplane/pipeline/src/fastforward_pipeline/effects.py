"""What `decide` asks of the world while it runs, and the answers: taking tokens from buckets, and verifying passwords.

Yielded by stages/ratelimit and stages/authentication; answered by `buckets.TokenBuckets` or by EntryPoint's counter
store, and by whoever has the time to hash.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


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


@dataclass(frozen=True, slots=True)
class VerifyPassword:
    """Tell whether this is the password that the hash is of. The stage that asks it is run again with the answer."""

    hash: str = field(repr=False)
    password: str = field(repr=False)


class Proof(Enum):
    """The answer to that."""

    RIGHT = "right"
    WRONG = "wrong"
    BUSY = "busy"
    """Nobody had the time: there are too many."""


Effect = TakeTokens | VerifyPassword
Answer = Verdict | Unavailable | Proof
