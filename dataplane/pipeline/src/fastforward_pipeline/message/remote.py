"""Stages that run in a workload of their own: what is sent there, what is taken back.

In: a message on its way. Out: what one stage has written, and nothing else. Called by EntryPoint on the near side, and
by whoever serves StageService on the far one. A stage can end a message, but writes only its own part of it: whatever
else comes back is left where it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fastforward.message.v1 import envelope_pb2
from fastforward_pipeline.compiled.authpolicy import Identity
from fastforward_pipeline.decision import Refusal
from fastforward_pipeline.reason import Reason
from fastforward_pipeline.stages import ingress, normalization, routing, tenant

from . import inbound
from .failure import refuse
from .passage import Failed, Outcome, Passage


def _take_payload(ours: envelope_pb2.Envelope, theirs: envelope_pb2.Envelope) -> None:
    ours.payload.CopyFrom(theirs.payload)


def _take_routing(ours: envelope_pb2.Envelope, theirs: envelope_pb2.Envelope) -> None:
    ours.header.routing.CopyFrom(theirs.header.routing)


TAKES: Mapping[str, Callable[[envelope_pb2.Envelope, envelope_pb2.Envelope], None]] = {
    "normalization": _take_payload,
    "routing": _take_routing,
}
"""Stages that may run elsewhere, and how what they have written is taken over."""
_NO_RULE = frozenset({Reason.PLAN_UNKNOWN, Reason.NO_ROUTE})
_STAGES: Mapping[str, Callable[[Passage], Outcome]] = {"normalization": inbound.normalize, "routing": inbound.route}


class RuleUnknownError(Exception):
    """No rule for the message is known here: this snapshot is another than that of the message's beginning."""


def process_here(passage: Passage, stage: str) -> Outcome:
    """Runs one stage of a message whose earlier stages ran elsewhere. Raises KeyError for a stage that stays there, and
    RuleUnknownError.

    What these have found is in the header; which rule governs is found again from it, by the same functions.
    """
    run, exchange, header = _STAGES[stage], passage.exchange, passage.envelope.header
    for judge in (normalization.judge, ingress.judge, routing.match):
        refused = judge(exchange)
        if isinstance(refused, Refusal):
            return _refuse(passage, refused)
    exchange.identity = Identity(
        subject=header.identity.subject,
        roles=frozenset(header.identity.roles),
        permissions=frozenset(header.identity.permissions),
        key_id=header.identity.api_key_id,
    )
    tenant.settle(exchange, header.tenant)
    refused = routing.rematch(exchange)
    return run(passage) if refused is None else _refuse(passage, refused)


def _refuse(passage: Passage, refused: Refusal) -> Failed:
    """By whom the message was let in so far, there is a rule: that there is none here is no answer."""
    if refused.reason in _NO_RULE:
        raise RuleUnknownError(refused.detail or refused.reason.value)
    return refuse(passage.envelope, refused)


def take_over(passage: Passage, stage: str, returned: envelope_pb2.Envelope) -> None:
    """Takes over what the stage has written."""
    TAKES[stage](passage.envelope, returned)
