"""One call: its messages on their way in, and how it ends when they have no answer.

In: what Envoy and the client said of the call, requests as bytes. Out: envelopes, replies as bytes, the call's status.
Made by adapter, one for each call.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import grpc.aio
from fastforward_pipeline.message import Answered, Failed, Intake, Operation, derive_key, make_error
from fastforward_pipeline.reason import Reason

from fastforward.message.v1 import envelope_pb2, error_pb2

from .binding import Bound, field_path
from .schema import ContentError, Method, content_of
from .status import make_status, told, too_large
from .template import Document, UnboundError

MAX_BYTES = 4 << 20
"""Of one message, and of all requests that become one."""
Context = grpc.aio.ServicerContext[bytes, bytes]


@dataclass(slots=True, kw_only=True)
class Call:
    """`clock` tells Unix time, `make_id` makes the id of a message."""

    method: Method
    intake: Intake
    context: Context
    clock: Callable[[], float]
    make_id: Callable[[], str]
    _number: int = 0
    _begun: bool = field(default=False)

    async def read(self, raw: bytes) -> Document:
        """Returns a request as JSON; ends the call when it is none."""
        try:
            return self.method.read(raw)
        except ContentError:
            await self.fail(self._malformed())

    async def envelope(self, document: Document) -> envelope_pb2.Envelope:
        """Returns the message of a request; ends the call when it has no place in HTTP, or is too large."""
        return await self._message(*await self._bound(document))

    async def gathered(self, documents: Sequence[Document]) -> envelope_pb2.Envelope:
        """Returns the message of all requests: its content is the list of theirs, its path the first one's."""
        bound = [await self._bound(document) for document in documents]
        target = bound[0].target if bound else (await self._bound({})).target
        return await self._message(target, [each.content for each in bound])

    async def _bound(self, document: Document) -> Bound:
        try:
            return self.method.binding.bind(document)
        except UnboundError as error:
            violation = error_pb2.FieldViolation(pointer=error.field, description=str(error), rule="google.api.http")
            await self.fail(self._malformed(violation), str)

    async def _message(self, target: str, content: Any) -> envelope_pb2.Envelope:  # noqa: ANN401 - JSON
        body = b"" if content is None else json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        if len(body) > MAX_BYTES:
            await self.fail(too_large(""))
        operation = Operation(
            method=self.method.binding.verb,
            target=target,
            body=body,
            media_type="application/json" if body else "",
            idempotency_key=self._key(),
            fields=(("content-type", "application/json"),) if body else (),
        )
        now = self.clock()
        envelope = self.intake.found(operation, message_id=self.make_id(), now=now)
        left_s = self.context.time_remaining()
        if left_s is not None and left_s * 1e9 < envelope.header.deadline.ToNanoseconds() - now * 1e9:
            envelope.header.deadline.FromNanoseconds(int((now + max(left_s, 0.0)) * 1e9))
        return envelope

    async def replies(self, outcome: Answered | Failed) -> list[bytes]:
        """Returns what a message came to, one reply for each element of a list where there may be several.

        Ends the call when it came to nothing.
        """
        if isinstance(outcome, Failed):
            await self.fail(outcome)
        await self._begin(outcome)
        return await self.written(outcome.reply)

    async def written(self, envelope: envelope_pb2.Envelope) -> list[bytes]:
        """Returns the replies that are in a message."""
        method, payload = self.method, envelope.payload
        try:
            content = content_of(payload.media_type, payload.body)
            if not (method.gives_stream and isinstance(content, list)):
                content = [content]
            return [method.write(each) for each in content]
        except ContentError:
            await self.fail(Failed(make_error(envelope, Reason.REPLY_MALFORMED)))

    async def fail(self, failed: Failed, path_of: Callable[[str], str] | None = None) -> NoReturn:
        """Ends the call."""
        method = self.method
        paths = path_of or (lambda pointer: field_path(pointer, method.binding, method.descriptor.input_type))
        status = make_status(failed, paths)
        await self.context.abort(status.code, status.title, status.metadata)

    def _malformed(self, *violations: error_pb2.FieldViolation) -> Failed:
        header = envelope_pb2.Header(id=self.make_id())
        return Failed(make_error(envelope_pb2.Envelope(header=header), Reason.CONTENT_MALFORMED, violations=violations))

    async def _begin(self, answered: Answered) -> None:
        """What the first reply says beside its content are the call's metadata."""
        if self._begun:
            return
        self._begun = True
        header = answered.reply.header
        own = [(each.name, each.value) for each in header.completion.fields]
        if header.transaction.repeated:
            own.append(("idempotency-replayed", "true"))
        metadata = told((*own, *answered.headers))
        if metadata:
            await self.context.send_initial_metadata(metadata)

    def _key(self) -> str:
        """Each message of a call has a key of its own: the call's, and from the second on a number."""
        key = self.intake.told("idempotency-key")
        self._number += 1
        return derive_key(key, str(self._number)) if key and self._number > 1 else key
