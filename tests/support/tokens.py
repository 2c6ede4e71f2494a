"""Tokens that issuers of tests sign, with the keys of support.credentials.

In: the issuer's label and claims. Out: an Authorization header. Called by tests of authentication and authorization.
"""

from __future__ import annotations

import time
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey

from .credentials import private_key_pem


def bearer(issuer: str, **claims: Any) -> dict[str, str]:  # noqa: ANN401 - a claim is anything
    """The header with a token of `https://ISSUER`, good for ten minutes; `jwks(ISSUER)` verifies it."""
    payload = {"iss": f"https://{issuer}", "sub": f"user-of-{issuer}", "exp": int(time.time()) + 3600, **claims}
    key = ECKey.import_key(private_key_pem(issuer))
    return {"authorization": f"Bearer {jwt.encode({'alg': 'ES256', 'kid': issuer}, payload, key)}"}
