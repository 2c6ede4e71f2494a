"""Rate limits: one token from each limit on the rule, counted when tenant and subject are known.

A limit that counts what answers cost takes none yet: `ends` keeps what is left to do; so do places for requests under
way, which are taken here.

In: `final`, `identity`, `tenant`. The one stage that asks the world: `judge` returns the effect, `settle` takes its
answer. Exact limits are counted here; those that each proxy counts are left to it, but for `explain` and tests, which
count them after all else, as it does. A value
that a request lacks counts as `-`: requests without it share a bucket, so nobody escapes by leaving a header out.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable

from fastforward_pipeline import effects
from fastforward_pipeline.compiled.ratelimit import Budget, Limit
from fastforward_pipeline.decision import LimitState, Pairs, Refusal
from fastforward_pipeline.effects import (
    Answer,
    Bucket,
    GiveBack,
    Level,
    Slots,
    TakeTokens,
)
from fastforward_pipeline.ends import Charge, End
from fastforward_pipeline.exchange import Exchange
from fastforward_pipeline.reason import Reason
from fastforward_pipeline.trail import Verdict

REQUESTS, UNITS, AT_ONCE = "requests", "units", "at once"
"""What limits count."""
_ABSENT = "-"
_CLOCKS_DIFFER_S = 3600


def judge(exchange: Exchange) -> TakeTokens | Refusal | None:
    """Returns the tokens to take of the limits that are counted here."""
    return _count(exchange, exact=True) if exchange.final.limits else None


def judge_native(exchange: Exchange) -> TakeTokens | Refusal | None:
    """Returns the tokens to take of the limits that the proxies count, where they are counted here as well."""
    exchange.decided = True
    return _count(exchange, exact=False) if exchange.counting_native and exchange.final.limits else None


def has_native(exchange: Exchange) -> bool:
    """Whether some limit on the governing rule is left to the proxy, which tells clients of it."""
    plan = exchange.governing()
    limits = (exchange.snapshot.limits.get(name) for name in (plan.limits if plan is not None else ()))
    return any(not limit.exact and not limit.shadow for limit in limits if limit is not None)


def _count(exchange: Exchange, *, exact: bool) -> TakeTokens | Refusal | None:
    counted: list[tuple[Limit, Budget, Bucket | Slots]] = []
    plan = "" if exchange.tenant_facts is None else exchange.tenant_facts.plan
    for name in exchange.final.limits:
        limit = exchange.snapshot.limits.get(name)
        if limit is None:
            detail = "the limit is not in the snapshot"
            return Refusal(reason=Reason.COUNTERS_UNAVAILABLE, detail=detail, object=f"RateLimit {name}")
        if limit.exact is exact:
            budget = limit.budget_for(exchange.tenant, plan)
            counted.append((limit, budget, _bucket(exchange, limit, budget)))
    if not counted:
        return None
    exchange.counted = tuple(counted)
    return TakeTokens(tuple([bucket for _, _, bucket in counted]))


def _bucket(exchange: Exchange, limit: Limit, budget: Budget) -> Bucket | Slots:
    key = f"{{{limit.name}}}{_digest(exchange, limit)}"
    if limit.lease_ms:
        return Slots(f"{key}@once", budget.requests, limit.lease_ms, limit.shadow)
    # What the answer costs is taken when it has told that.
    cost = 1.0 if limit.cost is None else 0.0
    if limit.period is None:
        return Bucket(key, budget.burst, budget.requests, budget.window_ms, limit.shadow, cost)
    begin, end = limit.period.around(exchange.request.now)
    # Kept longer than it is asked for: the clocks of decision services may differ.
    kept_ms = int((end - exchange.request.now + _CLOCKS_DIFFER_S) * 1000)
    return Bucket(f"{key}@{limit.period}-{begin}", budget.requests, 0, kept_ms, limit.shadow, cost)


def settle(exchange: Exchange, answer: Answer) -> Refusal | None:
    """Takes the counters' answer."""
    if not isinstance(answer, effects.Verdict):
        return _settle_without(exchange)
    refused: list[LimitState] = []
    states: list[LimitState] = []
    ends: list[End] = []
    for (limit, budget, bucket), level in zip(exchange.counted, answer.levels, strict=True):
        state = _state(exchange, limit, budget, level)
        states.append(state)
        if state.refused:
            if state.shadow:
                exchange.shadow.append(_refuse(state))
            else:
                refused.append(state)
        else:
            ends += _ends(limit, bucket, answer.holder)
    exchange.limits += tuple(states)
    if exchange.trail is not None:
        _tell(exchange, states)
    if not refused:
        exchange.ends += tuple(ends)
        return None
    worst = max(refused, key=lambda state: state.reset_s)
    return _refuse(worst, (*describe(exchange.limits), ("retry-after", str(worst.reset_s))))


def _ends(limit: Limit, bucket: Bucket | Slots, holder: str) -> Iterable[End]:
    """Yields what is left to do for a limit when the request has ended."""
    if isinstance(bucket, Slots):
        yield GiveBack(bucket.key, holder)
    elif limit.cost is not None:
        yield Charge(bucket, limit.cost.source, limit.cost.otherwise)


def _refuse(state: LimitState, headers: Pairs = ()) -> Refusal:
    reason = Reason.EXCEEDED
    detail = f"its bucket of {state.burst} is empty for {state.reset_s} s"
    if state.period:
        reason = Reason.QUOTA_USED
        of = f"its quota of {state.burst} {state.counts} a {state.period}"
        detail = f"{of} is used up; the next begins in {state.reset_s} s"
    elif state.counts == AT_ONCE:
        reason = Reason.TOO_MANY_AT_ONCE
        detail = f"{state.burst} requests are under way, as many as there may be"
    return Refusal(
        reason=reason,
        detail=detail,
        object=f"RateLimit {state.limit}",
        field="spec.budget",
        headers=headers,
    )


def describe(states: tuple[LimitState, ...]) -> Pairs:
    """Returns the headers that tell the tightest limit (draft-ietf-httpapi-ratelimit-headers-03, as Envoy has them)."""
    shown = [state for state in states if not state.shadow]
    if not shown:
        return ()
    tightest = min(shown, key=lambda state: (state.remaining, -state.reset_s))
    return (
        ("x-ratelimit-limit", str(tightest.burst)),
        ("x-ratelimit-remaining", str(tightest.remaining)),
        ("x-ratelimit-reset", str(tightest.reset_s)),
    )


def _settle_without(exchange: Exchange) -> Refusal | None:
    closed = next((limit for limit, *_ in exchange.counted if not limit.fail_open and not limit.shadow), None)
    if closed is not None:
        detail = "the counters can't be reached, and the limit fails closed"
        name = f"RateLimit {closed.name}"
        return Refusal(reason=Reason.COUNTERS_UNAVAILABLE, detail=detail, object=name, field="spec.onFailure")
    if exchange.trail is not None:
        exchange.trail.note("ratelimit", Verdict.PASSED, "the counters can't be reached, and every limit fails open")
    return None


def _state(exchange: Exchange, limit: Limit, budget: Budget, level: Level) -> LimitState:
    remaining = max(int(level.tokens + 1e-9), 0)
    counts = UNITS if limit.cost is not None else AT_ONCE if limit.lease_ms else REQUESTS
    if limit.period is not None:
        _, end = limit.period.around(exchange.request.now)
        return LimitState(
            limit=limit.name,
            burst=budget.requests,
            remaining=remaining,
            reset_s=max(math.ceil(end - exchange.request.now), 1),
            refused=level.refused,
            shadow=limit.shadow,
            period=limit.period,
            counts=counts,
        )
    if limit.lease_ms:
        # Nobody knows when one of them ends.
        waiting = 1.0 if level.refused else 0.0
    else:
        waiting = budget.seconds_for(1.0 - level.tokens) if remaining < 1 else 0.0
    return LimitState(
        limit=limit.name,
        burst=budget.requests if limit.lease_ms else budget.burst,
        remaining=remaining,
        reset_s=max(math.ceil(waiting - 1e-9), 1 if level.refused else 0),
        refused=level.refused,
        shadow=limit.shadow,
        counts=counts,
    )


def _digest(exchange: Exchange, limit: Limit) -> str:
    """Returns what tells this request's bucket from the others of the limit; nobody reads a key or a token from it."""
    if not limit.key:
        return ""
    values = "\x00".join([_value(exchange, kind, header, exact=limit.exact) for kind, header in limit.key])
    return hashlib.blake2b(values.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _value(exchange: Exchange, kind: str, header: str, *, exact: bool) -> str:
    match kind:
        case "address":
            return exchange.request.address or _ABSENT
        case "api-key":
            return exchange.identity.key_id or _ABSENT
        case "tenant":
            return exchange.tenant or _ABSENT
        case "subject":
            return exchange.identity.subject or _ABSENT
        case "endpoint":
            return exchange.final.endpoint
        case _:
            values = exchange.request.headers.get(header, (_ABSENT,))
            return ",".join(values) if exact else values[0]  # of a repeated header the proxy counts the first


def _tell(exchange: Exchange, states: Iterable[LimitState]) -> None:
    for state in states:
        verdict = Verdict.PASSED
        if state.refused:
            verdict = Verdict.SHADOWED if state.shadow else Verdict.REFUSED
        if exchange.trail is not None and verdict is not Verdict.REFUSED:
            detail = _say_left(state)
            exchange.trail.note("ratelimit", verdict, detail, object=f"RateLimit {state.limit}", field="spec.budget")


def _say_left(state: LimitState) -> str:
    if state.counts == AT_ONCE:
        return f"{state.remaining} of {state.burst} places for requests under way are left"
    unit = "tokens" if state.counts == REQUESTS and not state.period else state.counts
    of = f"{state.burst} {unit} a {state.period}" if state.period else f"{state.burst} {unit}"
    later = "; what the answer costs is taken when it ends" if state.counts == UNITS else ""
    return f"{state.remaining} of {of} are left{later}"
