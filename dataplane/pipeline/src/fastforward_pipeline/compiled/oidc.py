"""What a provider is to its OpenID Connect issuer, and the cookies that it seals.

Made by `snapshot`; asked by stages/oidc, and by EntryPoint where a code becomes a token. The key comes from the
client's secret, so that all decision services have the same one, and from the provider's name, so that no other
provider has it. A sealed cookie also holds for one purpose and one host only.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fastforward.snapshot.v1 import snapshot_pb2

from .servicetls import ServiceTls, compile_tls

IV_BYTES = 12
_KEY_BYTES = 32
_SALT = b"fastforward oidc 1"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OidcClient:
    """One client of an issuer."""

    name: str
    """The provider's."""
    client_id: str
    secret: str = field(repr=False)
    token_url: str
    in_form: bool
    """Whether the secret is sent in the form, not in a header."""
    places: tuple[tuple[str, int], ...]
    """Hosts and ports at which the token endpoint is asked."""
    tls: ServiceTls | None
    """None for clear text."""
    mark: str
    """Tells the cookies of providers apart."""
    key: AESGCM = field(repr=False)

    def seal(self, content: Mapping[str, object], context: str, iv: bytes) -> str:
        """Returns the value of a cookie. `iv` are IV_BYTES that were never used before."""
        text = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
        return base64url(iv + self.key.encrypt(iv, text, context.encode()))

    def unseal(self, value: str, context: str) -> Mapping[str, object] | None:
        """Returns what was sealed for this context; None for anything else."""
        try:
            octets = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
            content = json.loads(self.key.decrypt(octets[:IV_BYTES], octets[IV_BYTES:], context.encode()))
        except (InvalidTag, binascii.Error, ValueError):
            return None
        return content if isinstance(content, dict) else None


def base64url(octets: bytes) -> str:
    """Returns base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def compile_oidc_client(name: str, wire: snapshot_pb2.OidcClient) -> OidcClient:
    """Returns the compiled client. Raises ValueError on one without a secret, and on TLS that proves nothing."""
    if not (wire.secret and wire.client_id and wire.token_url):
        raise ValueError("a client without id, secret or token endpoint logs nobody in")
    listed = tuple((each.address, each.port) for each in wire.endpoints)
    derived = HKDF(SHA256(), _KEY_BYTES, _SALT, f"{name}\0{wire.client_id}".encode()).derive(wire.secret)
    return OidcClient(
        name=name,
        client_id=wire.client_id,
        secret=wire.secret.decode(),
        token_url=wire.token_url,
        in_form=wire.in_form,
        places=((wire.dns_host, wire.dns_port),) if wire.dns_host else listed,
        tls=compile_tls(wire.tls) if wire.HasField("tls") else None,
        mark=sha256(name.encode()).hexdigest()[:8],
        key=AESGCM(derived),
    )
