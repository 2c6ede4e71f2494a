"""An HTTP request as a message.

In: the scope of an ASGI request and its body. Out: an Envelope whose Source says all that the request said. Called by
app. What Envoy knows beside comes in headers that clients can't write: Envoy writes over them.
"""

from collections.abc import MutableMapping
from hashlib import blake2b
from typing import Any

from fastforward.message.v1 import envelope_pb2

_TIMEOUT_S = 15.0
_EDGE, _LISTENER, _ADDRESS, _PEER = "x-ff-scope", "x-ff-listener", "x-ff-address", "x-ff-peer"
_OWN = "x-ff-"
_FINGERPRINTED = ("user-agent", "accept-language", "accept-encoding")


def make_envelope(
    scope: MutableMapping[str, Any], body: bytes, *, message_id: str, now: float
) -> envelope_pb2.Envelope:
    """Returns the message. `now` is Unix time; the deadline is 15 s later, for Envoy waits no longer."""
    pairs = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]]
    known = dict(pairs)
    query = scope["query_string"].decode("latin-1")
    header = envelope_pb2.Header(
        id=message_id,
        kind=envelope_pb2.KIND_REQUEST,
        conversation_id=message_id,
        trace=envelope_pb2.TraceContext(
            traceparent=known.get("traceparent", ""), tracestate=known.get("tracestate", "")
        ),
        idempotency_key=known.get("idempotency-key", ""),
        source=envelope_pb2.Source(
            protocol=envelope_pb2.PROTOCOL_REST,
            address=known.get(_ADDRESS, ""),
            peer=known.get(_PEER, ""),
            fingerprint=fingerprint(known),
            edge=known.get(_EDGE, "").partition("|")[0],
            listener=known.get(_LISTENER, ""),
            scheme=known.get("x-forwarded-proto", scope["scheme"]),
            host=known.get("host", ""),
            method=scope["method"],
            target=scope["raw_path"].decode("latin-1") + (f"?{query}" if query else ""),
            fields=[envelope_pb2.Field(name=name, value=value) for name, value in pairs if not name.startswith(_OWN)],
            request_id=known.get("x-request-id", ""),
        ),
    )
    header.deadline.FromNanoseconds(int((now + _TIMEOUT_S) * 1e9))
    payload = envelope_pb2.Payload(media_type=known.get("content-type", ""), body=body)
    return envelope_pb2.Envelope(header=header, payload=payload)


def fingerprint(headers: MutableMapping[str, str]) -> str:
    """Returns what does not change between the requests of one client: 128 bits, in hexadecimal digits."""
    seen = "\0".join(headers.get(name, "") for name in (_ADDRESS, *_FINGERPRINTED))
    return blake2b(seen.encode("latin-1"), digest_size=16).hexdigest()
