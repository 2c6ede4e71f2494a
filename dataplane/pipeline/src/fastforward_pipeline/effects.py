"""What `decide` asks of the world while it runs, and the answers: tokens of buckets, passwords, services,
random bytes, codes.

Yielded by stages/ratelimit, authentication, external and oidc; answered by `buckets.TokenBuckets` or by EntryPoint's
counter store, by whoever has the time to hash, and by whoever can call.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .compiled.oidc import OidcClient

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


@dataclass(frozen=True, slots=True)
class DrawBytes:
    """Draw so many bytes that nobody can guess. The stage that asks it is run again with the answer."""

    count: int
    purpose: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """The answer to that."""

    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class RedeemCode:
    """Exchange an authorization code at the token endpoint (RFC 6749, section 4.1.3; RFC 7636, section 4.5), once.

    The stage that asks it is run again with the answer.
    """

    client: OidcClient
    code: str = field(repr=False)
    verifier: str = field(repr=False)
    redirect_uri: str


@dataclass(frozen=True, slots=True)
class Redeemed:
    """The answer to that: an ID token that nobody has judged yet, or why there is none."""

    id_token: str = field(default="", repr=False)
    fault: str = ""
    reached: bool = True
    """Whether the token endpoint has said so itself."""


Question = VerifyPassword | AskService | DrawBytes | RedeemCode
"""What a stage asks before it is run again."""
Effect = TakeTokens | Question
Answer = Verdict | Unavailable | Proof | ServiceAnswer | Drawn | Redeemed
