"""What `decide` asks of the world while it runs, and the answers: taking tokens from buckets, verifying passwords, and
asking services of others.

Yielded by stages/ratelimit, stages/authentication and stages/external; answered by `buckets.TokenBuckets` or by
EntryPoint's counter store, by whoever has the time to hash, and by whoever can call.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

UNASKED = float("-inf")


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
    cost: float = 1.0
    """Tokens to take."""
    least: float = 1.0
    """Tokens that must be there; UNASKED where they are owed already."""


@dataclass(frozen=True, slots=True)
class Slots:
    """Places for requests under way: `most` at once, each for `lease_ms` unless it is given back before."""

    key: str
    most: int
    lease_ms: int
    shadow: bool = False
    """Watched only: that none is left refuses nothing."""


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Give back the place that somebody holds, if he still does."""

    key: str
    holder: str


@dataclass(frozen=True, slots=True)
class TakeTokens:
    """Take from each bucket what is asked of it, and a place from all slots; or from none when one that is not in the
    shadow has too little.

    One in the shadow that has too little gives nothing and hinders nobody. What is given back always is.
    """

    buckets: tuple[Bucket | Slots | GiveBack, ...]


@dataclass(frozen=True, slots=True)
class Level:
    """One bucket afterwards: whether it had too little, and the tokens, or free places, that it has now."""

    refused: bool
    tokens: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer: a Level for each bucket, in order."""

    levels: tuple[Level, ...]
    holder: str = ""
    """By what name the places were taken, if any were; no other request has it."""


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The other answer: the counters, or the service, can't be reached in time."""


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


@dataclass(frozen=True, slots=True)
class AskService:
    """Ask a service whether a request may pass. The stage that asks it is run again with the answer."""

    policy: str
    """NAMESPACE/NAME of who wants to know."""
    upstream: str
    """NAMESPACE/NAME of who is asked."""
    method: str
    path: str
    """With the query."""
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    """Names in lower case; `host` is among them. Text is Latin-1, so that no byte is lost."""
    timeout_s: float
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class ServiceAnswer:
    """The answer to that, or Unavailable."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    """Names in lower case."""
    body: bytes = b""
    """Its beginning."""
    assumed: bool = False
    """Whether nobody was asked: explanations take it for granted, and say so."""


Question = VerifyPassword | AskService
"""What a stage asks before it is run again."""
Effect = TakeTokens | Question
Answer = Verdict | Unavailable | Proof | ServiceAnswer
