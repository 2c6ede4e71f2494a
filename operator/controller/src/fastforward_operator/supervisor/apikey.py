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
from dataclasses import dataclass, field

SECRET_TYPE = "gateway.fastforward.dev/api-keys"
_ID_CHARACTERS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyText:
    """A key as it is shown once, and sent by clients."""

    id: str
    secret: str = field(repr=False)

    @property
    def text(self) -> str:
        """As clients send it."""
        return f"ffk_{self.id}_{self.secret}"

    def hash(self, pepper: bytes) -> bytes:
        """HMAC-SHA-256(pepper, secret part)."""
        return hmac.new(pepper, self.secret.encode(), hashlib.sha256).digest()

    def entry(self, pepper: bytes, identity: Mapping[str, object]) -> str:
        """The JSON to store under the ID."""
        return json.dumps({"hash": self.hash(pepper).hex(), **identity})


def new_api_key() -> ApiKeyText:
    """A new random key."""
    key_id = base64.b32encode(secrets.token_bytes(8)).decode().lower()[:_ID_CHARACTERS]
    return ApiKeyText(id=key_id, secret=secrets.token_urlsafe(32))


def parse_api_key(text: str) -> ApiKeyText | None:
    """The parts of a key as clients send it; None when it is none."""
    prefix, _, rest = text.partition("_")
    key_id, _, secret = rest.partition("_")
    return ApiKeyText(id=key_id, secret=secret) if prefix == "ffk" and key_id and secret else None
