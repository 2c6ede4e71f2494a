"""Certificates: an authority of our own, and what it certifies.

In: who is certified, the time, how long it holds. Out: PEM texts. Called by kubernetes.authority for clusters and by
supervisor.certificates for development. The clock is an argument; only keys are random. Source: RFC 5280.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CLOCK_SKEW = timedelta(minutes=5)
"""By how much the clock of whoever checks a certificate may be behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certified:
    """A certificate and its private key, both PEM."""

    certificate: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Who is certified, and as what: a server, a client, or both."""

    name: str
    """For people, at most 64 characters; nobody is believed by it."""
    hosts: tuple[str, ...] = ()
    """DNS names; `*.suffix` is possible."""
    addresses: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()
    server: bool = False
    client: bool = False


def new_authority(name: str, *, now: datetime, lifetime: timedelta) -> Certified:
    """A certificate authority that signs itself, and no other authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(_name(name), _name(name), key.public_key(), (now, now + lifetime))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return _signed(builder.add_extension(_usage(signs_certificates=True), critical=True), key, key)


def issue(authority: Certified, subject: Subject, *, now: datetime, lifetime: timedelta) -> Certified:
    """What the subject may show, with a new key; it never outlives the authority. Raises ValueError."""
    usages = list(_purposes(subject))
    names = list(_names(subject))
    if not usages or not names:
        raise ValueError(
            f"The certificate of {subject.name} is for nobody: name a purpose, and a host, address or URI."
        )
    ca = load_certificate(authority.certificate)
    ca_key = load_key(authority.key)
    key = ec.generate_private_key(ec.SECP256R1())
    ends = min(now + lifetime, ca.not_valid_after_utc)
    builder = (
        _builder(_name(subject.name), ca.subject, key.public_key(), (now, ends))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
    )
    return _signed(builder, key, ca_key)


def made_at(certificate: str) -> datetime:
    """When it was signed."""
    return load_certificate(certificate).not_valid_before_utc + CLOCK_SKEW


def ends_at(certificate: str) -> datetime:
    """When it ends."""
    return load_certificate(certificate).not_valid_after_utc


def renew_at(certificate: str) -> datetime:
    """When it is time for the next one: after two thirds of its life."""
    made = made_at(certificate)
    return made + (ends_at(certificate) - made) * 2 / 3


def load_certificate(pem: str) -> x509.Certificate:
    """The certificate; raises ValueError."""
    return x509.load_pem_x509_certificate(pem.encode())


def load_key(pem: str) -> ec.EllipticCurvePrivateKey:
    """The private key of an authority; raises ValueError, TypeError for one that is not ours."""
    key = serialization.load_pem_private_key(pem.encode(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("The key is no elliptic-curve key.")
    return key


def to_pem(certificate: x509.Certificate) -> str:
    """As text."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _purposes(subject: Subject) -> Iterator[x509.ObjectIdentifier]:
    if subject.server:
        yield ExtendedKeyUsageOID.SERVER_AUTH
    if subject.client:
        yield ExtendedKeyUsageOID.CLIENT_AUTH


def _names(subject: Subject) -> Iterator[x509.GeneralName]:
    yield from map(x509.DNSName, subject.hosts)
    yield from (x509.IPAddress(ipaddress.ip_address(address)) for address in subject.addresses)
    yield from map(x509.UniformResourceIdentifier, subject.uris)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, valid: tuple[datetime, datetime]
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(valid[0] - CLOCK_SKEW)
        .not_valid_after(valid[1])
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _signed(
    builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey, issuer_key: ec.EllipticCurvePrivateKey
) -> Certified:
    encoding = serialization.Encoding.PEM
    certificate = builder.sign(issuer_key, hashes.SHA256())
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Certified(certificate=to_pem(certificate), key=private.decode())


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
