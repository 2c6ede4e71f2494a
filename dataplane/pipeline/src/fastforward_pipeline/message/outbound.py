"""The five stages of a reply on its way out.

In: the Passage of the message that it answers, and the reply. Out: None for yes, or why the caller gets an error
instead. Called by EntryPoint in the order of `stages.OUTBOUND`.
"""

from __future__ import annotations

import json

from fastforward.message.v1 import envelope_pb2
from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_pipeline.reason import Reason

from . import normalization as content
from .failure import make_error
from .passage import ONCE_BYTES, ONCE_S, TOO_LARGE, Asks, Claim, Failed, Finish, Outcome, Passage


def track(passage: Passage, reply: envelope_pb2.Envelope) -> Outcome:
    """Links the reply to its message, and remembers it where the same message may come again."""
    asked, header = passage.envelope.header, reply.header
    header.kind = envelope_pb2.KIND_REPLY
    header.causation_id, header.conversation_id = asked.id, asked.conversation_id or asked.id
    header.transaction.CopyFrom(asked.transaction)
    header.trace.CopyFrom(asked.trace)
    if passage.claim is None:
        return None
    return Asks(keep(passage.claim, reply), lambda _: None)


def keep(claim: Claim, reply: envelope_pb2.Envelope) -> Finish:
    """Returns how the result of a claim is remembered: of one that is too large, only that there was one."""
    result = reply.SerializeToString()
    return Finish(claim, result if len(result) <= ONCE_BYTES else TOO_LARGE, ONCE_S)


def authorize(passage: Passage, reply: envelope_pb2.Envelope) -> Outcome:
    """A reply belongs to the tenant that asked: one that says otherwise goes nowhere."""
    asked = passage.envelope.header
    if reply.header.tenant not in {"", asked.tenant}:
        return Failed(make_error(passage.envelope, Reason.REPLY_OF_ANOTHER))
    reply.header.tenant = asked.tenant
    return None


def normalize(passage: Passage, reply: envelope_pb2.Envelope) -> Outcome:
    """The content in its canonical form; what a target wrote wrongly, or against the schema, no caller sees."""
    message = passage.exchange.final.wire.message
    # That a command was taken is no reply of whoever handles it.
    checked = message.HasField("reply") and not reply.header.completion.accepted
    asked = message.reply if checked else None
    broken = content.judge(passage, reply.payload, asked, snapshot_pb2.UNKNOWN_FIELDS_KEEP)
    return broken and Failed(make_error(passage.envelope, Reason.REPLY_MALFORMED), broken.refusal)


def resolve(passage: Passage, reply: envelope_pb2.Envelope) -> Outcome:
    """By which way it goes back: the connection that its message came by."""
    source = passage.envelope.header.source
    reply.header.source.protocol = source.protocol
    reply.header.source.connection_id = source.connection_id
    return None


def leave(passage: Passage, reply: envelope_pb2.Envelope) -> Outcome:
    """What the caller must not see goes: who handled it, and the authorization."""
    del passage
    reply.header.ClearField("authorization")
    reply.header.ClearField("routing")
    return None


def make_acceptance(asked: envelope_pb2.Envelope, message_id: str) -> envelope_pb2.Envelope:
    """Returns what is told of a command that was taken, and whose result nobody waits for: by what it is known."""
    known = asked.header.id
    completion = envelope_pb2.Completion(status=202, accepted=True)
    body = json.dumps({"messageId": known}, separators=(",", ":")).encode()
    return envelope_pb2.Envelope(
        header=envelope_pb2.Header(id=message_id, completion=completion),
        payload=envelope_pb2.Payload(media_type="application/json", body=body),
    )


def make_event(
    asked: envelope_pb2.Envelope, reply: envelope_pb2.Envelope, type_: str, message_id: str
) -> envelope_pb2.Envelope:
    """Returns what is told of a message that has been handled: the reply's content, and who caused it."""
    header = asked.header
    return envelope_pb2.Envelope(
        header=envelope_pb2.Header(
            id=message_id,
            kind=envelope_pb2.KIND_EVENT,
            type=type_,
            causation_id=header.id,
            conversation_id=header.conversation_id or header.id,
            trace=header.trace,
            identity=header.identity,
            tenant=header.tenant,
            transaction=header.transaction,
        ),
        payload=reply.payload,
    )
