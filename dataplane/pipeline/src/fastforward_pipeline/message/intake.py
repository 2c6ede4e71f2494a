"""What an adapter has heard, as a message: the one way in for all protocols.

In: the headers (metadata) that Envoy hands on, and what the operation would be in HTTP. Out: an Envelope whose Source
says all that the client said. Called by adapters. What Envoy knows beside comes in headers that clients can't write:
Envoy writes over them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b

from fastforward.message.v1 import envelope_pb2
from fastforward_pipeline.idempotency import SAFE

EDGE, VIA, ENTRY, ADDRESS, PEER = "x-ff-edge", "x-ff-via", "x-ff-entry", "x-ff-address", "x-ff-peer"
TIMEOUT_S = 15.0
"""Of one operation: Envoy waits no longer for the answer of a request."""
_OWN = "x-ff-"
_FINGERPRINTED = ("user-agent", "accept-language", "accept-encoding")
_OF_CONTENT = frozenset({"content-type", "content-length", "content-encoding", "transfer-encoding", "accept"})
_OF_CONNECTION = frozenset({"connection", "upgrade", "te", "keep-alive", "proxy-connection"})
_OF_OPERATION = _OF_CONTENT | _OF_CONNECTION | frozenset({"idempotency-key", "if-match", "if-none-match"})
Headers = Mapping[str, tuple[str, ...]]
"""Names in lower case; the values of a repeated header in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What it would be in HTTP."""

    method: str
    target: str
    """Path and query."""
    body: bytes = b""
    media_type: str = ""
    idempotency_key: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    """Headers of its own, beside those of the request that it was found in; names in lower case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """A request, call or connection in which operations are found. `host` is that whose rules they take."""

    protocol: envelope_pb2.Protocol.ValueType
    headers: Headers
    host: str
    connection_id: str = ""

    def told(self, name: str) -> str:
        """Returns the value of a header, repeated ones joined with a comma; empty without one."""
        return ",".join(self.headers.get(name, ()))

    def whole(self, operation: Operation, *, message_id: str, now: float) -> envelope_pb2.Envelope:
        """Returns the message of a request that is itself the operation: the proxy has found its rule."""
        envelope = self._envelope(operation, message_id, now, frozenset())
        envelope.header.source.plan = self.told(ENTRY)
        return envelope

    def found(self, operation: Operation, *, message_id: str, now: float) -> envelope_pb2.Envelope:
        """Returns the message of an operation that was found in the request. `now` is Unix time.

        Of the request's headers those stay that tell who the client is, its page (`origin`) included, not those that
        tell what the request was.
        """
        return self._envelope(operation, message_id, now, _OF_OPERATION)

    def _envelope(
        self, operation: Operation, message_id: str, now: float, left_out: frozenset[str]
    ) -> envelope_pb2.Envelope:
        fields = [
            envelope_pb2.Field(name=name, value=value)
            for name, values in self.headers.items()
            if not name.startswith((_OWN, ":")) and name not in left_out
            for value in values
        ]
        fields.extend(envelope_pb2.Field(name=name, value=value) for name, value in operation.fields)
        source = envelope_pb2.Source(
            protocol=self.protocol,
            address=self.told(ADDRESS),
            peer=self.told(PEER),
            fingerprint=self._fingerprint(),
            edge=self.told(EDGE),
            listener=self.told(VIA),
            scheme=self.told("x-forwarded-proto"),
            host=self.host,
            method=operation.method,
            target=operation.target,
            fields=fields,
            request_id=self.told("x-request-id"),
            connection_id=self.connection_id,
        )
        header = envelope_pb2.Header(
            id=message_id,
            kind=envelope_pb2.KIND_REQUEST,
            conversation_id=message_id,
            trace=envelope_pb2.TraceContext(traceparent=self.told("traceparent"), tracestate=self.told("tracestate")),
            # What changes nothing may be done again; a key there says nothing.
            idempotency_key="" if operation.method in SAFE else operation.idempotency_key,
            source=source,
        )
        header.deadline.FromNanoseconds(int((now + TIMEOUT_S) * 1e9))
        payload = envelope_pb2.Payload(media_type=operation.media_type, body=operation.body)
        return envelope_pb2.Envelope(header=header, payload=payload)

    def _fingerprint(self) -> str:
        """What does not change between the requests of one client: 128 bits, in hexadecimal digits."""
        seen = "\0".join(self.told(name) for name in (ADDRESS, *_FINGERPRINTED))
        return blake2b(seen.encode("latin-1", "replace"), digest_size=16).hexdigest()
