"""An issuer of JSON Web Tokens for development and for route tests.

In: claims. Out: a signed token, and the public key set (RFC 7517) that proves it. Called by development and by the CLI.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from joserfc import jwt
from joserfc.jwk import ECKey

_ALGORITHM = "ES256"


class Issuer:
    """One private key."""

    def __init__(self, key: ECKey) -> None:
        self._key = key

    @classmethod
    def new(cls) -> Issuer:
        """With a new key."""
        return cls(ECKey.generate_key("P-256", {"use": "sig", "alg": _ALGORITHM, "kid": secrets.token_hex(8)}))

    @classmethod
    def load(cls, text: str) -> Issuer:
        """From what `dump` gave."""
        return cls(ECKey.import_key(json.loads(text)))

    def dump(self) -> str:
        """The private key as JSON: to be kept from others."""
        return json.dumps(self._key.as_dict(private=True))

    def public_key(self) -> dict[str, object]:
        """The public key, one member of a key set."""
        return dict(self._key.as_dict(private=False))

    def token(self, issuer: str, audiences: Sequence[str], claims: Mapping[str, object], valid: timedelta) -> str:
        """A signed token; what `claims` say wins."""
        now = datetime.now(UTC)
        body: dict[str, object] = {"iss": issuer, "iat": int(now.timestamp()), "exp": int((now + valid).timestamp())}
        if audiences:
            body["aud"] = list(audiences)
        header = {"alg": _ALGORITHM, "kid": str(self._key.kid)}
        return jwt.encode(header, body | dict(claims), self._key, algorithms=[_ALGORITHM])
