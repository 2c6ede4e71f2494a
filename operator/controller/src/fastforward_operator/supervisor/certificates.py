"""A certificate authority for development, and what it certifies.

In: DNS names. Out: PEM texts. Called by development. Not meant for production: the names say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_AUTHORITY_VALID = timedelta(days=3650)
_CERTIFICATE_VALID = timedelta(days=365)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certified:
    """A certificate and its private key, both PEM."""

    certificate: str
    key: str

    @property
    def expires_soon(self) -> bool:
        """Whether it ends within a month."""
        ends = x509.load_pem_x509_certificate(self.certificate.encode()).not_valid_after_utc
        return ends - datetime.now(UTC) < timedelta(days=30)


def new_authority() -> Certified:
    """A certificate authority that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("FastForward development CA")
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = (
        _builder(name, name, key.public_key(), _AUTHORITY_VALID)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(identifier, critical=False)
    )
    return _signed(builder, key, key)


def new_certificate(authority: Certified, hosts: Sequence[str]) -> Certified:
    """A server certificate for the hosts; `*.suffix` is possible."""
    ca = x509.load_pem_x509_certificate(authority.certificate.encode())
    ca_key = _load_key(authority.key)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(_name("FastForward development"), ca.subject, key.public_key(), _CERTIFICATE_VALID)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return _signed(builder, key, ca_key)


def _signed(
    builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey, issuer_key: ec.EllipticCurvePrivateKey
) -> Certified:
    encoding = serialization.Encoding.PEM
    certificate = builder.sign(issuer_key, hashes.SHA256()).public_bytes(encoding)
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Certified(certificate=certificate.decode(), key=private.decode())


def _load_key(pem: str) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem.encode(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("The key of the development CA is no elliptic-curve key.")
    return key


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, valid: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + valid)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
