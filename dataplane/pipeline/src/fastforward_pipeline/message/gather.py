"""A message to several at once: what each is sent, and the one reply that their answers are.

In: the Passage of the message, and what each part came to. Out: envelopes, a reply whose content is an object, or why
there is none. Called by EntryPoint, which sends the parts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256

from fastforward.message.v1 import envelope_pb2, error_pb2
from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_pipeline.idempotency import derive_key
from fastforward_pipeline.reason import Reason

from .content import JSON, Content, canonical, is_json
from .failure import make_error
from .passage import Claim, Failed, Passage

COMPLETED, FAILED = "x-ff-completed", "x-ff-failed"
"""What the reply says beside its content: whether all have answered; who did not, and why."""


def part_of(passage: Passage, part: snapshot_pb2.GatherPart) -> envelope_pb2.Envelope:
    """Returns what one of them is sent: the message, under a key of its own where it has one, and so signed anew."""
    made = envelope_pb2.Envelope()
    made.CopyFrom(passage.envelope)
    header = made.header
    header.routing.destinations[:] = [part.upstream]
    if passage.claim is not None:
        header.idempotency_key = derive_key(header.idempotency_key, part.member)
        header.transaction.id += f"/{part.member}"
        header.authorization = passage.seal.sign(made, passage.exchange.final.name)
    return made


def claim_of(claim: Claim, part: snapshot_pb2.GatherPart) -> Claim:
    """Returns the claim of a part: what it came to is remembered by itself, should the whole come to nothing."""
    return Claim(sha256(f"{claim.key}\0{part.member}".encode()).hexdigest(), claim.print, claim.token)


def join(
    asked: envelope_pb2.Envelope,
    gather: snapshot_pb2.Gather,
    parts: Mapping[str, envelope_pb2.Envelope | Failed],
    message_id: str,
) -> envelope_pb2.Envelope | Failed:
    """Returns the reply: an object of the answers by member. With fewer than are required there is none."""
    contents: dict[str, bytes] = {}
    failures: dict[str, error_pb2.Error] = {}
    for member, part in parts.items():
        content = part if isinstance(part, Failed) else _content_of(asked, part)
        if isinstance(content, Failed):
            failures[member] = content.error
        else:
            contents[member] = content
    if len(contents) < gather.require:
        return _incomplete(asked, failures)
    body = b",".join(json.dumps(member).encode() + b":" + contents[member] for member in sorted(contents))
    completion = envelope_pb2.Completion()
    completion.fields.add(name=COMPLETED, value="false" if failures else "true")
    if failures:
        completion.fields.add(name=FAILED, value=", ".join(_told(*each) for each in failures.items()))
    return envelope_pb2.Envelope(
        header=envelope_pb2.Header(id=message_id, completion=completion),
        payload=envelope_pb2.Payload(media_type=JSON, body=b"{" + body + b"}"),
    )


def _content_of(asked: envelope_pb2.Envelope, reply: envelope_pb2.Envelope) -> bytes | Failed:
    """One answer as JSON; nothing is null."""
    if reply.header.tenant not in {"", asked.header.tenant}:
        return Failed(make_error(asked, Reason.REPLY_OF_ANOTHER))
    made = canonical(reply.payload.media_type, reply.payload.body)
    if not isinstance(made, Content):
        return Failed(make_error(asked, Reason.REPLY_MALFORMED))
    if not made.body:
        return b"null"
    if is_json(made.media_type):
        return made.body
    return Failed(make_error(asked, Reason.REPLY_MALFORMED))


def _incomplete(asked: envelope_pb2.Envelope, failures: Mapping[str, error_pb2.Error]) -> Failed:
    """Who did not answer, and why; when to ask again, when each of them says so."""
    error = make_error(
        asked,
        Reason.INCOMPLETE,
        violations=[
            error_pb2.FieldViolation(pointer=f"/{member}", description=each.title, rule=_reason_of(each))
            for member, each in failures.items()
        ],
    )
    waits = [each.retry_after.ToMilliseconds() for each in failures.values() if each.HasField("retry_after")]
    if waits:
        error.retry_after.FromMilliseconds(max(waits))
    return Failed(error)


def _told(member: str, error: error_pb2.Error) -> str:
    """An item of a list (RFC 9651, section 3.1): what a target calls its errors may be no text there."""
    reason = _reason_of(error)
    sound = reason.isascii() and reason.isprintable() and not {'"', "\\"} & set(reason)
    return f'"{member}";reason="{reason if sound else _code_of(error)}"'


def _reason_of(error: error_pb2.Error) -> str:
    return error.reason or _code_of(error)


def _code_of(error: error_pb2.Error) -> str:
    """Of a target's own error that has no reason: what gRPC calls it."""
    known = error.code in error_pb2.Code.values()
    return error_pb2.Code.Name(error.code).removeprefix("CODE_") if known else "UNKNOWN"
