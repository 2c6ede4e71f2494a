"""Whom EntryPoint believes to be a service or an issuer: by authorities, names and public keys, as proxies do.

In: the `tls` of whom it asks. Out: settings of TLS. Called by external and oidc. What Python's ssl does not check
by itself is checked at the end of the handshake, before anything is sent.
"""

from __future__ import annotations

import base64
import ssl
from functools import lru_cache
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastforward_pipeline.compiled.servicetls import ServiceTls


class _Trust(ssl.SSLContext):
    """Settings that know what else is to be proven."""

    asked: ServiceTls


class _Peer(ssl.SSLObject):
    """A connection whose handshake fails where something is not proven."""

    def do_handshake(self) -> None:
        super().do_handshake()
        if isinstance(self.context, _Trust) and (fault := fault_of(self.context.asked, self.getpeercert(True))):
            raise ssl.SSLCertVerificationError(1, fault)


@lru_cache(maxsize=64)
def trust(asked: ServiceTls) -> ssl.SSLContext:
    """Returns settings for connections to these endpoints.

    Raises ssl.SSLError when the authorities are no certificates.
    """
    context = _Trust(ssl.PROTOCOL_TLS_CLIENT)
    # The name that is asked for need not be the one that is proven: `fault_of` looks at those.
    context.check_hostname = False
    context.asked = asked
    context.sslobject_class = _Peer
    if asked.authorities:
        context.load_verify_locations(cadata=asked.authorities)
    else:
        context.load_default_certs()
    return context


def fault_of(asked: ServiceTls, certificate: bytes | None) -> str:
    """Returns what a certificate in DER, signed by whom it should be, does not prove; empty for nothing."""
    if certificate is None:
        return "there is no certificate"
    read = x509.load_der_x509_certificate(certificate)
    try:
        names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return "the certificate has no name"
    proven = names.get_values_for_type(x509.DNSName)
    if not any(_matches(pattern.lower(), name.lower()) for pattern in proven for name in asked.names):
        return "the certificate has none of the names"
    key = read.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if asked.pins and base64.b64encode(sha256(key).digest()).decode() not in asked.pins:
        return "the certificate has none of the public keys"
    return ""


def _matches(pattern: str, name: str) -> bool:
    """Whether a name of a certificate is this one: its first label may be `*` (RFC 6125, section 6.4.3)."""
    if pattern == name:
        return True
    label, _, rest = name.partition(".")
    return bool(label) and "." in rest and pattern == f"*.{rest}"
