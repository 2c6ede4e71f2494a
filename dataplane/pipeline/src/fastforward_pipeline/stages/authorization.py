"""Stage 5, authorization: what the caller may do. Every policy must allow; within one, any grant suffices.

In: `final`, `identity`, `tenant`. A policy in the shadow is judged and reported, and hinders nobody.
"""

from __future__ import annotations

from fastforward_pipeline.compiled.authpolicy import Authorization, Identity
from fastforward_pipeline.decision import Refusal
from fastforward_pipeline.effects import Question
from fastforward_pipeline.exchange import Exchange
from fastforward_pipeline.reason import Reason
from fastforward_pipeline.trail import NearMiss, Verdict

from . import admission, authentication

_FIELD = "spec.authorization.grants"


def recheck(exchange: Exchange) -> Refusal | Question | None:
    """Checks what the final rule asks for, where it is not the rule for everybody: its admission, its authentication.

    Who is let in by one rule and led to another must satisfy both.
    """
    if exchange.final is exchange.entry:
        return None
    second = exchange.snapshot.auths.get(exchange.final.auth)
    asked = authentication.find_question(exchange, second) if second is not None and second.basic else None
    return asked or admission.admit(exchange, exchange.final) or _authenticate_again(exchange) or _try_again(exchange)


def _try_again(exchange: Exchange) -> Question | None:
    """Tries what the final rule tries: who the caller is has been settled by then."""
    auth = exchange.snapshot.auths.get(exchange.final.auth)
    return authentication.try_out(exchange, auth, adopt=False) if auth is not None else None


def _authenticate_again(exchange: Exchange) -> Refusal | Question | None:
    """Asks for the final rule's credentials, if it asks for others."""
    entry, final, auths = exchange.entry, exchange.final, exchange.snapshot.auths
    first, second = auths.get(entry.auth), auths.get(final.auth)
    if not final.auth or (first and second and first.authentication == second.authentication):
        return None
    if second is None:
        return Refusal(reason=Reason.NOT_READY, detail=f"the policies {final.auth} are not in the snapshot")
    identity = authentication.authenticate(exchange, second)
    if not isinstance(identity, Identity):
        return identity
    if identity.tenant and identity.tenant != exchange.tenant:
        detail = f"the rule's credentials are of {identity.tenant}, the request is of {exchange.tenant or 'nobody'}"
        return Refusal(reason=Reason.TENANT_CONFLICT, detail=detail, object=f"Route {final.route}")
    if identity.provider is not None:
        exchange.identity = identity
    return None


def judge(exchange: Exchange) -> Refusal | None:
    """Judges the caller by every policy on the rule."""
    name = exchange.final.auth
    if not name:
        return None
    auth = exchange.snapshot.auths.get(name)
    if auth is None:
        return Refusal(reason=Reason.NOT_READY, detail=f"the policies {name} are not in the snapshot")
    for authorization in auth.authorizations:
        refusal = _judge_one(exchange, authorization)
        if refusal is not None:
            return refusal
    return None


def _judge_one(exchange: Exchange, authorization: Authorization) -> Refusal | None:
    facts, identity, tenant = exchange.facts, exchange.identity, exchange.tenant
    if authorization.external is not None and not authorization.grants:
        return None
    for grant in authorization.grants:
        if grant.allows(facts, identity, tenant):
            _tell(exchange, authorization, Verdict.PASSED, f"grant {grant.name} allows it", f"{_FIELD}[{grant.name}]")
            return None
    if exchange.trail is not None:
        _tell_missing(exchange, authorization)
    detail = f"none of its {len(authorization.grants)} grants allows it"
    policy = f"AuthPolicy {authorization.policy}"
    refusal = Refusal(reason=Reason.NOT_GRANTED, detail=detail, object=policy, field=_FIELD)
    if not authorization.shadow:
        return refusal
    exchange.shade(refusal)
    return None


def _tell(exchange: Exchange, authorization: Authorization, verdict: Verdict, detail: str, field: str) -> None:
    if exchange.trail is not None:
        exchange.trail.note("authorization", verdict, detail, object=f"AuthPolicy {authorization.policy}", field=field)


def _tell_missing(exchange: Exchange, authorization: Authorization) -> None:
    for grant in authorization.grants:
        field, expected, got = grant.missing(exchange.facts, exchange.identity, exchange.tenant)
        if exchange.trail is not None:
            exchange.trail.miss(
                NearMiss(
                    stage="authorization",
                    object=f"AuthPolicy {authorization.policy}",
                    field=f"{_FIELD}[{grant.name}].{field}",
                    expected=expected,
                    got=got,
                )
            )
