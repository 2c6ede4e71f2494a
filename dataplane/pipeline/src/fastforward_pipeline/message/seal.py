"""The signed authorization: what stage 5 allowed, in a form that every later hop can verify.

In: an Envelope and a key. Out: the JWS of its header (RFC 7515, Ed25519 by RFC 9864), or whether it holds. A
message is signed once. What the signature covers is everything but what later stages write: routing, transaction and
trace.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from fastforward.message.v1 import authorization_pb2, envelope_pb2

_ALGORITHM = "Ed25519"
_LATER = ("authorization", "routing", "transaction", "trace")
"""Fields of the header that later stages write."""


class Seal:
    """Signs with one key, and verifies with all that are known, by key id."""

    __slots__ = ("_known", "_own")

    def __init__(self, own: OKPKey | None, known: Mapping[str, OKPKey]) -> None:
        """`own` is None for a hop that only verifies."""
        self._own = own
        self._known = known

    def sign(self, envelope: envelope_pb2.Envelope, plan: str) -> str:
        """Returns the authorization of a message that may pass."""
        if self._own is None:
            raise ValueError("a hop without a key can't authorize")
        header = envelope.header
        allowed = authorization_pb2.Authorization(
            message_id=header.id,
            digest=digest(envelope),
            tenant=header.tenant,
            subject=header.identity.subject,
            plan=plan,
            not_after=header.deadline if header.HasField("deadline") else None,
        )
        protected = {"alg": _ALGORITHM, "kid": self._own.kid}
        return jws.serialize_compact(protected, allowed.SerializeToString(), self._own, algorithms=[_ALGORITHM])

    def broken(self, envelope: envelope_pb2.Envelope, now: float) -> str:
        """Returns what is wrong with a message's authorization; empty when nothing is. `now` is Unix time."""
        text = envelope.header.authorization
        if not text:
            return "the message has no authorization"
        try:
            unverified = jws.extract_compact(text.encode())
            key = self._known.get(str(unverified.headers().get("kid", "")))
            if key is None:
                return "the authorization is signed with a key that is not known here"
            found = jws.deserialize_compact(text.encode(), key, algorithms=[_ALGORITHM])
            allowed = authorization_pb2.Authorization.FromString(found.payload)
        except (JoseError, ValueError) as error:
            return f"the authorization is none: {type(error).__name__}"
        return _difference(allowed, envelope, now)


def make_verifier(*keys: Mapping[str, Any]) -> Seal:
    """Returns the seal of a hop that only verifies what was signed with one of these keys (JWK of Ed25519).

    Of a private one, its public part is taken. Raises ValueError for what is no such key.
    """
    known: dict[str, OKPKey] = {}
    for each in keys:
        try:
            key = OKPKey.import_key({name: value for name, value in each.items() if name != "d"})
        except JoseError as error:
            raise ValueError(f"a key is none of Ed25519: {error}") from error
        key.ensure_kid()
        known[str(key.kid)] = key
    return Seal(None, known)


def _difference(allowed: authorization_pb2.Authorization, envelope: envelope_pb2.Envelope, now: float) -> str:
    if allowed.message_id != envelope.header.id:
        return "the authorization is another message's"
    if allowed.digest != digest(envelope):
        return "the message was changed after it was authorized"
    if allowed.HasField("not_after") and allowed.not_after.ToNanoseconds() / 1e9 < now:
        return "the authorization has ended"
    return ""


def digest(envelope: envelope_pb2.Envelope) -> bytes:
    """Returns SHA-256 over what no later stage may change."""
    covered = envelope_pb2.Envelope()
    covered.CopyFrom(envelope)
    for field in _LATER:
        covered.header.ClearField(field)
    return sha256(covered.SerializeToString(deterministic=True)).digest()
