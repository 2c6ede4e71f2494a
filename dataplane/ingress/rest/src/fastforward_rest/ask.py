"""An HTTP request as a message.

In: a Request as Envoy hands it on. Out: an Envelope whose Source says all that the request said. Called by adapter.
What Envoy knows beside comes in headers that clients can't write: Envoy writes over them.
"""

from hashlib import blake2b

from fastforward_kit.http import Request

from fastforward.message.v1 import envelope_pb2

EDGE, VIA, ADDRESS, PEER = "x-ff-edge", "x-ff-via", "x-ff-address", "x-ff-peer"
_TIMEOUT_S = 15.0
_OWN = "x-ff-"
_FINGERPRINTED = ("user-agent", "accept-language", "accept-encoding")


def make_envelope(asked: Request, *, message_id: str, now: float) -> envelope_pb2.Envelope:
    """Returns the message. `now` is Unix time; the deadline is 15 s later, for Envoy waits no longer."""
    told = asked.header
    header = envelope_pb2.Header(
        id=message_id,
        kind=envelope_pb2.KIND_REQUEST,
        conversation_id=message_id,
        trace=envelope_pb2.TraceContext(traceparent=told("traceparent"), tracestate=told("tracestate")),
        idempotency_key=told("idempotency-key"),
        source=envelope_pb2.Source(
            protocol=envelope_pb2.PROTOCOL_REST,
            address=told(ADDRESS),
            peer=told(PEER),
            fingerprint=fingerprint(asked),
            edge=told(EDGE),
            listener=told(VIA),
            scheme=told("x-forwarded-proto"),
            host=told("host"),
            method=asked.method,
            target=asked.target,
            fields=[
                envelope_pb2.Field(name=name, value=value)
                for name, values in asked.headers.items()
                if not name.startswith(_OWN)
                for value in values
            ],
            request_id=told("x-request-id"),
        ),
    )
    header.deadline.FromNanoseconds(int((now + _TIMEOUT_S) * 1e9))
    return envelope_pb2.Envelope(
        header=header, payload=envelope_pb2.Payload(media_type=told("content-type"), body=asked.body)
    )


def fingerprint(asked: Request) -> str:
    """Returns what does not change between the requests of one client: 128 bits, in hexadecimal digits."""
    seen = "\0".join(asked.header(name) for name in (ADDRESS, *_FINGERPRINTED))
    return blake2b(seen.encode("latin-1"), digest_size=16).hexdigest()
