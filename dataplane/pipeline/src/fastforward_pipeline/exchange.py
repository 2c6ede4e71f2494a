"""What the stages share while one request is judged, and what a stage may say.

Made by `decide`, read and filled by the stages in their order, and thrown away. Nothing outside `decide` sees it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .compiled.authpolicy import ANONYMOUS, Identity
from .compiled.route import Candidate
from .decision import LimitState, Refusal, Reply
from .effects import (
    Answer,
    AskService,
    Bucket,
    DrawBytes,
    Proof,
    Question,
    RedeemCode,
    ServiceAnswer,
    Slots,
    TakeTokens,
    Unavailable,
    VerifyPassword,
)
from .ends import End
from .facts import Facts
from .request import Request
from .snapshot import Snapshot
from .trail import Verdict

if TYPE_CHECKING:
    from .compiled.ratelimit import Budget, Limit
    from .compiled.route import Plan
    from .compiled.table import Scope
    from .compiled.tenant import Tenant
    from .trail import Trail

Outcome = Refusal | Reply | TakeTokens | Question | None
"""What a stage says: no; an answer; an effect whose answer it needs; None for yes."""


class Exchange:
    """One request on its way through the stages."""

    __slots__ = (
        "answers",
        "asked",
        "candidates",
        "counted",
        "counting_native",
        "decided",
        "ends",
        "entry",
        "facts",
        "final",
        "identity",
        "interactive",
        "limits",
        "proofs",
        "proved",
        "request",
        "scope",
        "shadow",
        "shard",
        "snapshot",
        "tenant",
        "tenant_facts",
        "told",
        "told_by",
        "trail",
    )

    counted: tuple[tuple[Limit, Budget, Bucket | Slots], ...]
    limits: tuple[LimitState, ...]
    ends: tuple[End, ...]
    """What is left to do when the request has ended."""

    def __init__(
        self,
        snapshot: Snapshot,
        request: Request,
        trail: Trail | None,
        *,
        counting_native: bool,
        interactive: bool = False,
    ) -> None:
        self.snapshot = snapshot
        self.request = request
        self.trail = trail
        self.counting_native = counting_native
        """Whether limits that the proxies count are counted here as well, for `explain` and tests."""
        # Whether a browser may be sent elsewhere, to log in: not from within connections and messages.
        self.interactive = interactive
        self.facts: Facts
        self.scope: Scope
        self.entry: Plan
        """What everybody's table says, or the proxy: it governs admission and authentication."""
        self.asked: Plan | None = None
        """What the proxy asked about, when that is a rule of a tenant: it must be the caller's."""
        self.final: Plan
        """What governs the rest: the same, or what the caller's tenant, roles or flags lead to."""
        self.identity: Identity = ANONYMOUS
        self.proved: list[Identity] = []
        """All that has been proved of the caller, by whichever rule asked for it: each may end before the others."""
        # What has been asked, and answered, about passwords.
        self.proofs: dict[VerifyPassword, Proof] = {}
        # What services have been asked, and have answered.
        self.told_by: dict[AskService, ServiceAnswer | Unavailable] = {}
        self.told: dict[str, str] = {}
        """What they tell the upstream, by header; empty where they say nothing, and nobody else may."""
        # What has been asked, and answered, for logins.
        self.answers: dict[DrawBytes | RedeemCode, Answer] = {}
        self.tenant = self.shard = ""
        self.tenant_facts: Tenant | None = None
        self.counted, self.limits, self.ends = (), (), ()
        self.candidates: tuple[Candidate, ...] = ()
        self.shadow: list[Refusal] = []
        """What policies in the shadow would have said."""
        self.decided = False
        """Whether all is done that the decision service does; the rest is the proxy's."""

    def keep(self, asked: Question, answer: Answer) -> None:
        """Keeps the answer to what a stage has asked; one that is none is a no."""
        if isinstance(asked, VerifyPassword):
            self.proofs[asked] = answer if isinstance(answer, Proof) else Proof.BUSY
        elif isinstance(asked, DrawBytes | RedeemCode):
            self.answers[asked] = answer
        else:
            self.told_by[asked] = answer if isinstance(answer, ServiceAnswer) else Unavailable()

    def shade(self, refusal: Refusal) -> None:
        """Keeps what a policy in the shadow says, and lets the request pass."""
        if refusal in self.shadow:  # an Edge's settings are asked again where another rule governs
            return
        self.shadow.append(refusal)
        if self.trail is not None:
            detail = f"{refusal.detail}, but it is only watched"
            verdict = Verdict.SHADOWED
            self.trail.note(refusal.reason.stage, verdict, detail, object=refusal.object, field=refusal.field)

    def entered(self) -> Plan | None:
        """Returns the Plan that settled admission and authentication; None before one is found."""
        return getattr(self, "entry", None)

    def served(self) -> Scope | None:
        """Returns the host; None before it is found."""
        return getattr(self, "scope", None)

    def governing(self) -> Plan | None:
        """Returns the Plan that governs so far; None before one is found, or for a gate."""
        plan = getattr(self, "final", None) or self.entered()
        return None if plan is None or plan.gate else plan

    def answering(self) -> Plan | None:
        """Returns the Plan whose changes to headers a refusal has; None for none.

        It is the one where the proxy is at that time: in a decision hop it stays at the entry. The proxy changes
        refusals only where the request would have gone to an Upstream.
        """
        entry = self.entered()
        plan = self.governing() if entry is None or not entry.hop or self.decided else entry
        return plan if plan is not None and plan.proxied else None
