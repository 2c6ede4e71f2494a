"""API keys: a text shown once, and the entry with its keyed hash that is stored.

In: the pepper of a Secret and who the key stands for. Out: text, ID and entry. Called by `ff key create`, by the
development credentials and by route tests.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

SECRET_TYPE = "gateway.fastforward.dev/api-keys"
_ID_CHARACTERS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class NewApiKey:
    """A key just made."""

    text: str
    """`ffk_ID_SECRET`, as clients send it."""
    id: str
    hash: bytes
    """HMAC-SHA-256(pepper, secret part)."""

    def entry(self, identity: Mapping[str, object]) -> str:
        """The JSON to store under the ID."""
        return json.dumps({"hash": self.hash.hex(), **identity})


def new_api_key(pepper: bytes) -> NewApiKey:
    """A new random key."""
    key_id = base64.b32encode(secrets.token_bytes(8)).decode().lower()[:_ID_CHARACTERS]
    secret = secrets.token_urlsafe(32)
    digest = hmac.new(pepper, secret.encode(), hashlib.sha256).digest()
    return NewApiKey(text=f"ffk_{key_id}_{secret}", id=key_id, hash=digest)
