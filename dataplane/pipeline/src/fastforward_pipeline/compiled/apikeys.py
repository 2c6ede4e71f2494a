"""The API keys of one Secret, found by id and compared in constant time.

A key's text is `ffk_ID_SECRET`; stored is HMAC-SHA-256(pepper, SECRET). Made by `snapshot`; asked by authentication.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from fastforward.snapshot.v1 import snapshot_pb2

from .authpolicy import Identity, KeyProvider

PREFIX = "ffk_"
_NOTHING = bytes(hashlib.sha256().digest_size)
_MIN_PEPPER = 16


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ApiKey:
    """A stored key. `not_after` is Unix seconds, 0 for never."""

    id: str
    hash: bytes
    tenant: str
    subject: str
    roles: frozenset[str]
    permissions: frozenset[str]
    not_after: int

    def identity(self, provider: KeyProvider) -> Identity:
        """Returns whom the key stands for."""
        return Identity(
            subject=self.subject,
            tenant=self.tenant,
            roles=self.roles,
            permissions=self.permissions,
            provider=provider,
            key_id=self.id,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ApiKeys:
    """The keys of one Secret."""

    pepper: bytes
    keys: Mapping[str, ApiKey]

    def find(self, id_: str, secret: str) -> ApiKey | None:
        """Returns the key if `secret` is its secret; takes as long for an id that is unknown."""
        key = self.keys.get(id_)
        given = hmac.digest(self.pepper, secret.encode("utf-8", "surrogatepass"), hashlib.sha256)
        same = hmac.compare_digest(given, _NOTHING if key is None else key.hash)
        return key if same else None


def split_key(text: str) -> tuple[str, str] | None:
    """Returns id and secret of a key; None when it is none. A secret may hold underscores, an id does not."""
    if not text.startswith(PREFIX):
        return None
    id_, _, secret = text[len(PREFIX) :].partition("_")
    return (id_, secret) if id_ and secret else None


def compile_apikeys(name: str, wire: snapshot_pb2.ApiKeys) -> ApiKeys:
    """Returns the compiled keys. Raises ValueError when they could be guessed."""
    if len(wire.pepper) < _MIN_PEPPER:
        raise ValueError(f"the pepper of {name} is shorter than {_MIN_PEPPER} bytes")
    return ApiKeys(pepper=wire.pepper, keys={key.id: _compile_key(key) for key in wire.keys})


def _compile_key(wire: snapshot_pb2.ApiKey) -> ApiKey:
    if len(wire.hash) != len(_NOTHING):
        raise ValueError(f"the hash of key {wire.id} is no HMAC-SHA-256")
    return ApiKey(
        id=wire.id,
        hash=wire.hash,
        tenant=wire.tenant,
        subject=wire.subject,
        roles=frozenset(wire.roles),
        permissions=frozenset(wire.permissions),
        not_after=wire.not_after,
    )
