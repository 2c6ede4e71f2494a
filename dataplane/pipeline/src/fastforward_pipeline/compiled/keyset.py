"""An issuer's public keys, and what they have verified already.

In: a JWKS document (RFC 7517). Out: KeySet, whose `verify` checks a signature once and remembers it by the token's
digest. Made by `snapshot`, so that new keys forget everything that the old ones have verified. Asked by authentication.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from .token import Token

CAPACITY = 4096
"""Verified tokens remembered for each key set: some 4 KiB each."""

_RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_CURVES = {
    ("EC", "P-256"): "ES256",
    ("EC", "P-384"): "ES384",
    ("EC", "P-521"): "ES512",
    ("OKP", "Ed25519"): "EdDSA",
}
_TYPES: Mapping[str, type[RSAKey | ECKey | OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PublicKey:
    """One key and the algorithms that it may be used with: its own if it names one, else those of its type."""

    kid: str
    algorithms: frozenset[str]
    key: RSAKey | ECKey | OKPKey

    def verifies(self, token: Token) -> bool:
        """Whether the token's signature was made with this key."""
        try:
            return JWSRegistry.algorithms[token.alg].verify(token.signed, token.signature, self.key)
        except (ValueError, JoseError):
            return False


class KeySet:
    """Public keys of an issuer."""

    __slots__ = ("_keys", "_verified")

    def __init__(self, keys: tuple[PublicKey, ...]) -> None:
        self._keys = keys
        # By digest, the longest unused first.
        self._verified: dict[bytes, Token] = {}

    def find(self, text: str) -> Token | None:
        """Returns the token if its signature was verified before."""
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        token = self._verified.pop(digest, None)
        if token is not None:
            self._verified[digest] = token
        return token

    def verify(self, text: str, token: Token) -> bool:
        """Whether a key of the set has signed the token; remembers it if so."""
        if not any(key.verifies(token) for key in self._keys if _may_verify(key, token)):
            return False
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        self._verified[digest] = token
        while len(self._verified) > CAPACITY:
            del self._verified[next(iter(self._verified))]
        return True


def _may_verify(key: PublicKey, token: Token) -> bool:
    """A token's kid picks the key; the key, never the token, decides on the algorithm."""
    return token.alg in key.algorithms and (not token.kid or not key.kid or token.kid == key.kid)


def compile_keyset(jwks: bytes) -> KeySet:
    """Returns the keys for signatures in `jwks`; those of other kinds are left out. Raises ValueError on no JWKS."""
    try:
        document = json.loads(jwks)
        keys = [_compile_key(key) for key in document["keys"]]
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError("the key set is no JSON Web Key Set") from error
    return KeySet(tuple(key for key in keys if key is not None))


def _compile_key(jwk: Mapping[str, str]) -> PublicKey | None:
    algorithms = _algorithms(jwk)
    if not algorithms or jwk.get("use", "sig") != "sig":
        return None
    try:
        key = _TYPES[jwk["kty"]].import_key({name: value for name, value in jwk.items() if name != "key_ops"})
    except (ValueError, KeyError, TypeError, JoseError):
        return None
    return PublicKey(kid=jwk.get("kid", ""), algorithms=algorithms, key=key)


def _algorithms(jwk: Mapping[str, str]) -> frozenset[str]:
    """Returns the algorithms for which a key may be used: asymmetric ones that fit its type, and its own if named."""
    kty, curve = jwk.get("kty", ""), jwk.get("crv", "")
    fitting = _RSA if kty == "RSA" else frozenset({_CURVES.get((kty, curve), "")} - {""})
    return fitting & {jwk["alg"]} if "alg" in jwk else fitting
