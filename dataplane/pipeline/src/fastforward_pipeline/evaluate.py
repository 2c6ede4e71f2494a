"""`decide`: a request and a snapshot in, a Decision out; what it asks of the world, it yields.

Called by EntryPoint for each request that the proxy can't decide alone, and by the CLI. No input or output, no clock,
no randomness: the caller answers the effects, gives the time and keeps the counters. It never raises on any request.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

from .buckets import TokenBuckets
from .compiled.password import verify_password
from .decision import Decision, Pairs, Refusal, Reply
from .effects import (
    Answer,
    AskService,
    DrawBytes,
    Drawn,
    Effect,
    Proof,
    Question,
    RedeemCode,
    Redeemed,
    ServiceAnswer,
    TakeTokens,
)
from .exchange import Exchange, Outcome
from .reason import FACTS, Reason
from .request import Request
from .snapshot import Snapshot
from .stages import (
    admission,
    authentication,
    authorization,
    body,
    csrf,
    dispatch,
    external,
    ingress,
    normalization,
    oidc,
    ratelimit,
    routing,
    tenant,
    tracking,
)
from .trail import Trail, Verdict

STEPS: tuple[Callable[[Exchange], Outcome], ...] = (
    normalization.judge,  # first, for all else looks at the canonical host and path
    ingress.judge,
    routing.match,  # the rule for everybody settles how the caller is let in and authenticated
    ingress.answer_preflight,  # before credentials are asked for: browsers send none
    admission.judge,
    authentication.judge,
    tenant.judge,
    routing.rematch,  # now that the caller is known, the rule that governs the rest
    authorization.recheck,
    authorization.judge,
    csrf.judge,
    external.judge,  # after all that is judged here: to ask somebody else costs time
    ratelimit.judge,  # after authorization: who is not allowed to do it spends no token
    body.judge,  # after limits: to judge one costs work
    routing.place,
    ratelimit.judge_native,  # the proxy counts by itself when the decision has been taken
    tracking.judge,
    dispatch.judge,
)
_NO_TABLE = "-"
_TELL_LIMITS = frozenset({Reason.EXCEEDED, Reason.QUOTA_USED, Reason.TOO_MANY_AT_ONCE})
"""Refusals that have the limits' headers by themselves."""


def decide(
    snapshot: Snapshot, request: Request, *, trail: Trail | None = None, counting_native: bool = False
) -> Generator[Effect, Answer, Decision]:
    """Decides a request; yields what must be counted or verified, wants the answer, returns the Decision.

    `counting_native` also counts the limits that the proxies count by themselves, as a whole deployment would.
    """
    exchange = Exchange(snapshot, request, trail, counting_native=counting_native, interactive=True)
    for step in STEPS:
        outcome = step(exchange)
        while isinstance(outcome, Question):
            exchange.keep(outcome, (yield outcome))
            outcome = step(exchange)
        if outcome is None:
            continue
        if isinstance(outcome, TakeTokens):
            answer = yield outcome
            outcome = ratelimit.settle(exchange, answer)
            if outcome is None:
                continue
        if isinstance(outcome, Refusal):
            return _refuse(exchange, outcome)
        if isinstance(outcome, Reply):
            return _allow(exchange, outcome)
    return _allow(exchange, None)


def run(
    decision: Generator[Effect, Answer, Decision], counters: TokenBuckets, now: float, *, external: int = 200
) -> Decision:
    """Runs a decision to its end with counters in memory; passwords are verified here, which takes its time.

    Services are not asked: they are taken to answer with the status `external`, which the Trail says. Nobody logs in
    by this: what is drawn is no secret, and no issuer is asked.
    """
    try:
        effect = next(decision)
        while True:
            effect = decision.send(_answer(effect, counters, now, external))
    except StopIteration as end:
        return end.value


def _answer(effect: Effect, counters: TokenBuckets, now: float, external: int) -> Answer:
    if isinstance(effect, TakeTokens):
        return counters.take(effect, now)
    if isinstance(effect, AskService):
        return ServiceAnswer(external, assumed=True)
    if isinstance(effect, DrawBytes):
        return Drawn(bytes(effect.count))
    if isinstance(effect, RedeemCode):
        return Redeemed(fault="nobody asks the issuer here", reached=False)
    return Proof.RIGHT if verify_password(effect.hash, effect.password) else Proof.WRONG


def _refuse(exchange: Exchange, refusal: Refusal) -> Decision:
    if exchange.trail is not None:
        reason = refusal.reason
        exchange.trail.note(reason.stage, Verdict.REFUSED, refusal.detail, object=refusal.object, field=refusal.field)
    return Decision(
        allowed=False,
        # A rule without destination answers by itself, and so with its own headers.
        changes=exchange.final if refusal.reason is Reason.UNAVAILABLE else exchange.answering(),
        status=FACTS[refusal.reason].status,
        reason=refusal.reason,
        refusal=refusal,
        plan=exchange.governing(),
        entry=exchange.entered(),
        scope=exchange.served(),
        tenant=exchange.tenant,
        identity=exchange.identity,
        response_headers=refusal.headers + ingress.mark_answer(exchange) + _describe(exchange, refusal),
        limits=exchange.limits,
        ends=exchange.ends,
        would_refuse=tuple(exchange.shadow),
        request_id=exchange.request.request_id,
    )


def _describe(exchange: Exchange, refusal: Refusal) -> Pairs:
    """Returns what limits say of a request that spent tokens and was refused for another reason."""
    return () if refusal.reason in _TELL_LIMITS else ratelimit.describe(exchange.limits)


def _allow(exchange: Exchange, reply: Reply | None) -> Decision:
    plan = exchange.governing()
    return Decision(
        allowed=True,
        status=200 if reply is None else reply.status,
        plan=plan,
        entry=exchange.entered(),
        scope=exchange.served(),
        tenant=exchange.tenant,
        identity=exchange.identity,
        candidates=exchange.candidates,
        shard=exchange.shard,
        request_headers=_trusted_headers(exchange),
        response_headers=_answer_headers(exchange, reply),
        body="" if reply is None else reply.body,
        changes=None if reply is not None and reply.preflight else plan,
        limits=exchange.limits,
        ends=exchange.ends,
        proxy_tells_limits=ratelimit.has_native(exchange),
        would_refuse=tuple(exchange.shadow),
        request_id=exchange.request.request_id,
        told=tuple(exchange.told.items()),
    )


def _trusted_headers(exchange: Exchange) -> Pairs:
    """Returns what the proxy writes over the request: whose it is, which table and rule, which Upstream of a shard."""
    plan = exchange.governing()
    headers = [
        ("x-ff-table", plan.tenant if plan is not None and plan.tenant else _NO_TABLE),
        ("x-ff-select", plan.select if plan is not None and plan.select else _NO_TABLE),
    ]
    identity = exchange.identity
    if exchange.tenant:
        headers.append(("x-ff-tenant", exchange.tenant))
    if identity.subject:
        headers.append(("x-ff-subject", identity.subject))
    if identity.key_id:
        headers.append(("x-ff-key", identity.key_id))
    if exchange.shard:
        headers.append(("x-ff-cluster", exchange.candidates[0].upstream))
    return (*headers, *oidc.without_cookies(exchange))


def _answer_headers(exchange: Exchange, reply: Reply | None) -> Pairs:
    """Returns what the gateway adds to the answer; a preflight's has its marks already."""
    headers = ingress.mark_answer(exchange) if reply is None else reply.headers
    return headers + ratelimit.describe(exchange.limits) if exchange.limits else headers
