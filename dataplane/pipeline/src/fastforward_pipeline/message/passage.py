"""One message on its way through the stages, what a stage may say of it, and what it may ask of the world.

Made by EntryPoint when a message comes in, or by a workload that runs a stage of its own; read and filled by the
stages in their order. Pure: the caller answers what is asked, gives the time and holds the keys.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any, Protocol

from fastforward.message.v1 import envelope_pb2, error_pb2
from fastforward_pipeline.decision import Pairs, Refusal
from fastforward_pipeline.effects import Question, TakeTokens
from fastforward_pipeline.exchange import Exchange
from fastforward_pipeline.request import Request, make_headers
from fastforward_pipeline.snapshot import Snapshot
from fastforward_pipeline.stages import ingress, ratelimit
from fastforward_pipeline.trail import Trail

from .seal import Seal

MESSAGE_ID = "x-ff-message-id"
"""Header of answers, by which people ask what became of a message."""
ONCE_S = 86_400.0
"""For how long results are told again."""
ONCE_BYTES = 1 << 20
"""The largest result that is told again."""
TOO_LARGE, UNKNOWN = b"", b"\0"
"""What is kept instead of a result: of one that is too large, and where nobody knows whether there is one. Neither is a
serialised envelope.
"""
GRACE_S = 1.0
"""After the deadline, in which a result that came in time is remembered."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One message's right to be handled under a key."""

    key: str
    print: str
    """Tells messages apart that must not share a key."""
    token: str
    """Tells claims apart: of one that comes late, nothing is kept."""


@dataclass(frozen=True, slots=True)
class Begin:
    """Remember that a message with this key is being handled; the answer is a Beginning, or Unavailable.

    After `lease_s` whoever handles it is taken for dead.
    """

    claim: Claim
    lease_s: float


@dataclass(frozen=True, slots=True)
class Finish:
    """Remember the result of a claim, or with none forget that it was begun."""

    claim: Claim
    result: bytes | None
    keep_s: float


@dataclass(frozen=True, slots=True)
class Beginning:
    """What is known of a key: nothing (`first`), its print, and its result once there is one, or what stands for it."""

    first: bool
    print: str = ""
    result: bytes | None = None


Effect = TakeTokens | Question | Begin | Finish


@dataclass(frozen=True, slots=True)
class Failed:
    """The message ends here; `headers` are for clients of HTTP."""

    error: error_pb2.Error
    refusal: Refusal | None = None
    headers: Pairs = ()


@dataclass(frozen=True, slots=True)
class Answered:
    """A reply that has passed all stages; `headers` are for clients of HTTP."""

    reply: envelope_pb2.Envelope
    headers: Pairs = ()


@dataclass(frozen=True, slots=True)
class Replied:
    """The message is answered here: by a result that is told again."""

    reply: envelope_pb2.Envelope


@dataclass(frozen=True, slots=True)
class Asks:
    """An effect, and what goes on with its answer."""

    effect: Effect
    resume: Callable[[Any], Outcome]


Outcome = Failed | Replied | Asks | None
"""What a stage says: no; an answer; a question; None for yes."""


class Recorder(Protocol):
    """Whoever keeps account of a message's way."""

    def enter(self, direction: str, stage: str, elsewhere: str = "") -> None:
        """A stage begins, and the one before it has ended; `elsewhere` is the Upstream that runs it, if one does."""
        ...


class _Nobody:
    """Keeps account of nothing."""

    def enter(self, direction: str, stage: str, elsewhere: str = "") -> None:
        """See Recorder."""


NOBODY = _Nobody()


@dataclass(slots=True)
class Passage:
    """A message, and what the stages know about it beside what is written into it."""

    envelope: envelope_pb2.Envelope
    exchange: Exchange
    seal: Seal
    token: str = ""
    """Of its claim, if it makes one: no other passage has it."""
    claim: Claim | None = None
    """By which its result is remembered; None for not at all."""
    recorder: Recorder = NOBODY
    """Told of each stage by whoever runs them."""
    until: float = inf
    """Unix time from which on nobody waits, as the adapter has said it; a command's header says it no more."""


def open_passage(
    envelope: envelope_pb2.Envelope,
    snapshot: Snapshot,
    seal: Seal,
    *,
    now: float,
    token: str = "",
    trail: Trail | None = None,
) -> Passage:
    """Returns the passage of a message that an adapter has just taken in; `now` is Unix time."""
    source, media_type = envelope.header.source, envelope.payload.media_type
    headers = dict(make_headers((each.name, each.value) for each in source.fields))
    if media_type:
        # Adapters that find a message in a request know its type, and leave out the request's.
        headers.setdefault("content-type", (media_type,))
    request = Request(
        method=source.method,
        host=source.host,
        path=source.target,
        now=now,
        scheme=source.scheme or "http",
        headers=headers,
        address=source.address,
        peer=source.peer,
        listener=source.listener,
        edge=source.edge,
        plan=source.plan,
        body_bytes=len(envelope.payload.body),
        request_id=source.request_id,
    )
    exchange = Exchange(snapshot, request, trail, counting_native=True)
    deadline = envelope.header.deadline.ToNanoseconds() / 1e9 if envelope.header.HasField("deadline") else inf
    return Passage(envelope=envelope, exchange=exchange, seal=seal, token=token, until=deadline)


def lease_s(passage: Passage) -> float:
    """Returns for how long the message may be on its way, in seconds."""
    if passage.until == inf:
        return ONCE_S
    return max(passage.until - passage.exchange.request.now, 0.0) + GRACE_S


def answer_headers(passage: Passage) -> Pairs:
    """Returns what the gateway adds to an answer over HTTP: its message, the tightest limit, and who may read it."""
    exchange = passage.exchange
    own = ((MESSAGE_ID, passage.envelope.header.id),)
    return own + ingress.mark_answer(exchange) + ratelimit.describe(exchange.limits)
