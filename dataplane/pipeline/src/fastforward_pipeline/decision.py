"""What `decide` ends in: a Decision. Also what a stage may end a request with before that.

Made by `decide`; read by EntryPoint (the answer to the proxy), by the CLI and by the tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .reason import FACTS, Reason

if TYPE_CHECKING:
    from .compiled.authpolicy import Identity
    from .compiled.jsonschema import Violation
    from .compiled.route import Candidate, Plan
    from .compiled.table import Scope
    from .ends import End

Pairs = tuple[tuple[str, str], ...]
"""Header names and values, in order."""
REMOVED = "x-envoy-auth-headers-to-remove"
"""Among the headers of a request that goes on: the name of one that the proxy takes out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A stage's no."""

    reason: Reason
    detail: str = ""
    """What was expected and what was there; for the Trail, never for the client."""
    object: str = ""
    """KIND NAMESPACE/NAME of the object that says no."""
    field: str = ""
    """Path in that object, as people write it."""
    headers: Pairs = ()
    """For the client."""
    violations: tuple[Violation, ...] = ()
    """For the client: what is wrong with its content, and where."""
    said: str = ""
    """For the client: what a service that was asked says about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer that the gateway gives by itself, with the request allowed."""

    status: int
    headers: Pairs = ()
    body: str = ""
    preflight: bool = False
    """Whether it is the answer to a preflight, which no rule's changes to headers touch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitState:
    """One rate limit after the request."""

    limit: str
    """NAMESPACE/NAME."""
    burst: int
    remaining: int
    """Whole tokens left."""
    reset_s: int
    """Seconds until the next token; 0 while there is one. Of a quota, until the next period."""
    refused: bool
    shadow: bool = False
    period: str = ""
    """Of a quota: hour, day, week or month."""
    counts: str = "requests"
    """What it counts: requests, `units` of what answers cost, or requests under way (`at once`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The outcome of a request."""

    allowed: bool
    """Whether the request goes on to its destination, be it an upstream or an answer of the gateway."""
    status: int
    """The answer's status if the gateway gives it; 200 for a request that goes to an upstream."""
    reason: Reason | None = None
    refusal: Refusal | None = None
    plan: Plan | None = None
    """The rule that governs the request; None when there is none."""
    entry: Plan | None = None
    """The entry of everybody's table, which settled admission and authentication; it may be a gate."""
    scope: Scope | None = None
    """The host; None when nobody has it."""
    tenant: str = ""
    identity: Identity | None = None
    candidates: tuple[Candidate, ...] = ()
    """Upstreams that may get the request; one for a shard."""
    shard: str = ""
    request_headers: Pairs = ()
    """Headers that the proxy writes over the request's: trusted identity, table, shard."""
    response_headers: Pairs = ()
    """Headers that the gateway adds to the answer."""
    body: str = ""
    """Of an answer that the gateway gives by itself; refusals are told by `problem`."""
    changes: Plan | None = None
    """The rule whose changes to headers the answer has."""
    limits: tuple[LimitState, ...] = ()
    proxy_tells_limits: bool = False
    """Whether the proxy counts limits on the rule as well, and tells clients of them."""
    ends: tuple[End, ...] = ()
    """What is left to do when the request has ended, or at once where it goes nowhere."""
    would_refuse: tuple[Refusal, ...] = ()
    """What refuses the request but for being in the shadow."""
    request_id: str = ""
    told: Pairs = ()
    """What services that were asked tell the upstream; an empty value says that nobody may."""

    @property
    def shadow(self) -> tuple[str, ...]:
        """Who would refuse it: `AuthPolicy NAMESPACE/NAME`, `RateLimit ...`, `Edge ...` or `Route ...` by admission."""
        return tuple(refusal.object for refusal in self.would_refuse)

    @property
    def route(self) -> str:
        """NAMESPACE/NAME of the Route; empty when there is none."""
        return "" if self.plan is None else self.plan.route

    @property
    def rule(self) -> str:
        """Name of the rule in its Route."""
        return "" if self.plan is None else self.plan.rule

    @property
    def stage(self) -> str:
        """The stage that refused; empty when none did."""
        return "" if self.reason is None else self.reason.stage

    @property
    def title(self) -> str:
        """What a refused client is told."""
        return "" if self.reason is None else FACTS[self.reason].title
