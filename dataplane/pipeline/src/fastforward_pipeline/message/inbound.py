"""Stages 1 to 7 of a message on its way in; what a proxied request meets is judged by the same functions.

In: a Passage. Out: None for yes, or why the message ends here. Each stage writes its own part of the header, and no
other. Called by EntryPoint in the order of `stages.INBOUND`, or by a workload that runs one of them.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

from fastforward.message.v1 import envelope_pb2
from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_pipeline import exchange as exchanges
from fastforward_pipeline.compiled.route import Plan
from fastforward_pipeline.decision import Refusal, Reply
from fastforward_pipeline.effects import Answer, AskService, Question, TakeTokens, Unavailable, VerifyPassword
from fastforward_pipeline.exchange import Exchange
from fastforward_pipeline.idempotency import read_key
from fastforward_pipeline.reason import Reason
from fastforward_pipeline.stages import (
    admission,
    authentication,
    authorization,
    csrf,
    external,
    ingress,
    normalization,
    ratelimit,
    routing,
    tenant,
    tracking,
)

from . import normalization as content
from .failure import make_error, refuse
from .passage import TOO_LARGE, UNKNOWN, Asks, Begin, Beginning, Claim, Failed, Outcome, Passage, Replied, lease_s

Judge = Callable[[Exchange], exchanges.Outcome]
_INSTEAD = {TOO_LARGE: Reason.RESULT_NOT_KEPT, UNKNOWN: Reason.OUTCOME_UNKNOWN}
_CREDENTIALS = frozenset({"authorization", "cookie", "proxy-authorization"})


def enter(passage: Passage) -> Outcome:
    """Which host of which Edge the message is for."""
    return _judge(passage, normalization.judge, ingress.judge)


def admit(passage: Passage) -> Outcome:
    """Which rule the message enters by, and whether its address, size and type are let in."""
    return _judge(passage, routing.match, admission.judge)


def authenticate(passage: Passage) -> Outcome:
    """Who sends it, for which tenant. Credentials go no further than this."""
    return _judge_caller(passage, (authentication.judge, tenant.judge, routing.rematch), _introduce)


def _introduce(passage: Passage) -> None:
    """Writes who sends it."""
    identity, header = passage.exchange.identity, passage.envelope.header
    header.tenant = passage.exchange.tenant
    header.identity.CopyFrom(
        envelope_pb2.Identity(
            subject=identity.subject,
            provider="" if identity.provider is None else identity.provider.name,
            roles=sorted(identity.roles),
            permissions=sorted(identity.permissions),
            api_key_id=identity.key_id,
        )
    )
    secret = _CREDENTIALS | _key_headers(passage.exchange)
    kept = [field for field in header.source.fields if field.name not in secret]
    del header.source.fields[:]
    header.source.fields.extend(kept)


def _key_headers(exchange: Exchange) -> set[str]:
    """Returns the headers in which the rules' policies look for API keys."""
    names = (exchange.entry.auth, exchange.final.auth)
    auths = (auth for name in names if (auth := exchange.snapshot.auths.get(name)) is not None)
    return {header for auth in auths for header in auth.key_headers}


def normalize(passage: Passage) -> Outcome:
    """The content in its canonical form; nothing that can't be brought into it goes on, or breaks the rule's schema."""
    message = passage.exchange.final.wire.message
    asked = message.request if message.HasField("request") else None
    return content.judge(passage, passage.envelope.payload, asked, message.unknown_fields)


def authorize(passage: Passage) -> Outcome:
    """Whether the caller may do it, and as often as it does: then it is signed."""
    judges = (authorization.recheck, authorization.judge, csrf.judge, external.judge)
    return _judge_caller(passage, judges, _tell_further)


def _tell_further(passage: Passage) -> Outcome:
    """Writes what services say to the target over what the client sent by these names."""
    told, source = passage.exchange.told, passage.envelope.header.source
    if told:
        kept = [field for field in source.fields if field.name not in told]
        del source.fields[:]
        source.fields.extend(kept)
        source.fields.extend(envelope_pb2.Field(name=name, value=value) for name, value in told.items() if value)
    return _count_exact(passage)


def _count_exact(passage: Passage) -> Outcome:
    return _count(passage, ratelimit.judge, _count_native)


def _count_native(passage: Passage) -> Outcome:
    return _count(passage, ratelimit.judge_native, _sign)


def _count(passage: Passage, judge: Judge, then: Callable[[Passage], Outcome]) -> Outcome:
    """Takes the tokens that `judge` asks for, and goes on with `then`."""
    exchange = passage.exchange
    asked = judge(exchange)
    if isinstance(asked, Refusal):
        return refuse(passage.envelope, asked, headers=ratelimit.describe(exchange.limits))
    if not isinstance(asked, TakeTokens):
        return then(passage)

    def resume(answer: Answer) -> Outcome:
        refusal = ratelimit.settle(exchange, answer)
        return then(passage) if refusal is None else refuse(passage.envelope, refusal)

    return Asks(asked, resume)


def _sign(passage: Passage) -> None:
    plan, header = passage.exchange.final, passage.envelope.header
    header.type = plan.wire.message.type
    if _is_command(plan):
        # It is handled whenever its turn comes: what it may do does not end with its caller's patience.
        header.kind = envelope_pb2.KIND_COMMAND
        header.ClearField("deadline")
    header.authorization = passage.seal.sign(passage.envelope, plan.name)


def route(passage: Passage) -> Outcome:
    """Where it goes, and how."""
    ended = _judge(passage, routing.place)
    if ended is not None:
        return ended
    exchange, plan = passage.exchange, passage.exchange.final
    if plan.destination != "message":
        detail = "the rule sends no messages: it changed while the request was on its way"
        refusal = Refusal(reason=Reason.UNAVAILABLE, detail=detail, object=f"Route {plan.route}")
        return refuse(passage.envelope, refusal)
    queue = [f"{plan.route.partition('/')[0]}/{plan.wire.message.type}"] if _is_command(plan) else []
    passage.envelope.header.routing.CopyFrom(
        envelope_pb2.Routing(
            route=plan.route,
            rule=plan.rule,
            plan=plan.name,
            delivery=_delivery_of(plan),
            destinations=queue or [candidate.upstream for candidate in exchange.candidates],
            shard=exchange.shard,
            region=exchange.facts.region,
        )
    )
    return None


def track(passage: Passage) -> Outcome:
    """Whether the same message has been here before (draft-ietf-httpapi-idempotency-key-header)."""
    envelope = passage.envelope
    refused = tracking.judge_key(passage.exchange, envelope.header.idempotency_key)
    if refused is not None:
        return refuse(envelope, refused)
    key = read_key(envelope.header.idempotency_key)
    if not key:
        return None
    once = _hash((*_caller_of(envelope), envelope.header.routing.route, key))
    claim = Claim(once, _print_of(passage), passage.token)
    envelope.header.transaction.id = once[:32]

    def resume(known: Beginning | Unavailable) -> Outcome:
        ended = tell_again(envelope, claim, known)
        if ended is None:
            passage.claim = claim
        elif isinstance(ended, Replied):
            envelope.header.transaction.repeated = True
        return ended

    return Asks(Begin(claim, lease_s(passage)), resume)


def _caller_of(envelope: envelope_pb2.Envelope) -> tuple[str, ...]:
    """Whose the key is. A subject is one of its provider; of keys without subject, each is a caller of its own."""
    tenant, identity = envelope.header.tenant, envelope.header.identity
    return tenant, identity.provider, identity.subject, "" if identity.subject else identity.api_key_id


def _print_of(passage: Passage) -> str:
    """What the message is, in terms that all adapters share; often its path alone says what it is of."""
    envelope, request = passage.envelope, passage.exchange.request
    host = normalization.strip_port(request.host).lower()
    return _hash((envelope.header.type, request.method, host, request.path), envelope.payload.body)


def _hash(parts: tuple[str, ...], rest: bytes = b"") -> str:
    return sha256(repr(parts).encode() + rest).hexdigest()


def tell_again(
    envelope: envelope_pb2.Envelope, claim: Claim, known: Beginning | Unavailable
) -> Failed | Replied | None:
    """Returns what the message of a claim came to before; None for one that is the first."""
    if isinstance(known, Unavailable):
        return Failed(make_error(envelope, Reason.STORE_UNAVAILABLE))
    if known.first:
        return None
    if known.print != claim.print:
        return Failed(make_error(envelope, Reason.KEY_REUSED))
    if known.result is None:
        return Failed(make_error(envelope, Reason.IN_PROGRESS))
    instead = _INSTEAD.get(known.result)
    if instead is not None:
        return Failed(make_error(envelope, instead))
    return Replied(envelope_pb2.Envelope.FromString(known.result))


def _delivery_of(plan: Plan) -> envelope_pb2.Delivery.ValueType:
    if _is_command(plan):
        return envelope_pb2.DELIVERY_COMMAND
    return envelope_pb2.DELIVERY_SCATTER if plan.gathers else envelope_pb2.DELIVERY_CALL


def _is_command(plan: Plan) -> bool:
    return plan.wire.message.delivery == snapshot_pb2.MESSAGE_DELIVERY_COMMAND


def _judge_caller(passage: Passage, judges: tuple[Judge, ...], then: Callable[[Passage], Outcome]) -> Outcome:
    """Runs the judges, again each that asks something, and goes on with `then`."""
    for place, judge in enumerate(judges):
        outcome = judge(passage.exchange)
        if isinstance(outcome, Refusal):
            return refuse(passage.envelope, outcome)
        if isinstance(outcome, VerifyPassword | AskService):
            return _ask(passage, outcome, lambda passage, left=judges[place:]: _judge_caller(passage, left, then))
    return then(passage)


def _ask(passage: Passage, asked: Question, then: Callable[[Passage], Outcome]) -> Asks:
    def resume(answer: Answer) -> Outcome:
        passage.exchange.keep(asked, answer)
        return then(passage)

    return Asks(asked, resume)


def _judge(passage: Passage, *judges: Judge) -> Failed | None:
    for judge in judges:
        outcome = judge(passage.exchange)
        if isinstance(outcome, Refusal):
            return refuse(passage.envelope, outcome)
        # Of these only preflights are answered, and adapters have answered them.
        assert not isinstance(outcome, (Reply, TakeTokens, VerifyPassword, AskService))  # noqa: S101
    return None
