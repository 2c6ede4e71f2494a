"""Certificates and public keys: the only module that looks inside them.

In: PEM and JSON Web Keys. Out: `ir.Certificate`, verdicts. Called by edge through CERTIFICATE and by keyset. Why it
exists: a proxy refuses a whole batch of configuration for one key that it can't use, so each is tried here first.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells, Rule
from fastforward_compiler.problem import Reason

from .world import CONFIG_MAPS, SECRETS

_MIN_RSA_BITS = 2048
_CURVES: Mapping[str, ec.EllipticCurve] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
_TLS_CURVES = frozenset(curve.name for curve in _CURVES.values())
_DNS_NAME = re.compile(r"(\*\.)?[a-z0-9_]([-a-z0-9_]{0,62})(\.[a-z0-9_][-a-z0-9_]{0,62})*")


class Unusable(NamedTuple):
    """Why the content of a Secret or ConfigMap can't be used."""

    reason: Reason
    message: str


def _make_certificate(cells: Cells, name: str) -> ir.Certificate | Unusable:
    secret = cells.read(SECRETS, name)
    if secret is None:
        return Unusable(Reason.SECRET_NOT_FOUND, f"Secret {name} was not found.")
    chain, key = secret.value("tls.crt"), secret.value("tls.key")
    if chain is None or key is None:
        missing = "tls.crt" if chain is None else "tls.key"
        return Unusable(Reason.SECRET_INVALID, f"Secret {name} has no {missing}.")
    try:
        leaf = x509.load_pem_x509_certificates(chain)[0]
        hosts = _hosts(leaf)
        fault = _fault(leaf, key)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.InvalidVersion):
        return Unusable(Reason.SECRET_INVALID, f"Secret {name} holds no PEM certificate with its private key.")
    if fault:
        return Unusable(Reason.SECRET_INVALID, f"Secret {name}: {fault}")
    return ir.Certificate(name=name, hosts=hosts, chain=chain, key=key)


def _hosts(leaf: x509.Certificate) -> tuple[str, ...]:
    """The DNS names (RFC 6125, section 6.4), or else the common name."""
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        texts = names.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        texts = [str(part.value) for part in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return tuple(sorted({text.lower() for text in texts if _DNS_NAME.fullmatch(text.lower())}))


def _fault(leaf: x509.Certificate, key: bytes) -> str:
    private = serialization.load_pem_private_key(key, None)
    public = leaf.public_key()
    if private.public_key() != public:
        return "the private key does not belong to the certificate."
    if isinstance(public, rsa.RSAPublicKey):
        return "" if public.key_size >= _MIN_RSA_BITS else f"RSA keys have at least {_MIN_RSA_BITS} bits."
    if isinstance(public, ec.EllipticCurvePublicKey) and public.curve.name in _TLS_CURVES:
        return ""
    return "the key is neither RSA nor on one of the curves P-256, P-384, P-521."


def fault_of_key(key: Mapping[str, object]) -> str:
    """What is wrong with a JSON Web Key as a public signature key (RFC 7517, 7518, 8037); empty when nothing is."""
    try:
        return _key_fault(key)
    except (ValueError, TypeError, KeyError, binascii.Error, UnsupportedAlgorithm):
        return "is malformed"


def _key_fault(key: Mapping[str, object]) -> str:
    kind, algorithm = key["kty"], str(key["alg"])
    if kind == "RSA" and algorithm in {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}:
        public = rsa.RSAPublicNumbers(_number(key["e"]), _number(key["n"])).public_key()
        return "" if public.key_size >= _MIN_RSA_BITS else f"has fewer than {_MIN_RSA_BITS} bits"
    if kind == "EC" and (key["crv"], algorithm) in {("P-256", "ES256"), ("P-384", "ES384"), ("P-521", "ES512")}:
        ec.EllipticCurvePublicNumbers(_number(key["x"]), _number(key["y"]), _CURVES[str(key["crv"])]).public_key()
        return ""
    if kind == "OKP" and key["crv"] == "Ed25519" and algorithm == "EdDSA":
        ed25519.Ed25519PublicKey.from_public_bytes(_octets(key["x"]))
        return ""
    return f"has type {str(kind)[:16]} with algorithm {algorithm[:16]}, which is no asymmetric signature known here"


def _octets(text: object) -> bytes:
    if not isinstance(text, str) or "=" in text:
        raise ValueError("not base64url without padding")
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _number(text: object) -> int:
    return int.from_bytes(_octets(text))


def _make_authorities(cells: Cells, kind: str, name: str) -> bytes | Unusable:
    found = cells.read(SECRETS if kind == "Secret" else CONFIG_MAPS, name)
    if found is None:
        return Unusable(Reason.SECRET_NOT_FOUND, f"{kind} {name} was not found.")
    bundle = found.value("ca.crt")
    if bundle is None:
        return Unusable(Reason.SECRET_INVALID, f"{kind} {name} has no ca.crt.")
    try:
        x509.load_pem_x509_certificates(bundle)
    except ValueError:
        return Unusable(Reason.SECRET_INVALID, f"{kind} {name} holds no PEM certificate in ca.crt.")
    return bundle


AUTHORITIES: Rule[bytes | Unusable] = Rule("authorities", _make_authorities)
"""(kind, Secret or ConfigMap): certificates of authorities, PEM."""
CERTIFICATE: Rule[ir.Certificate | Unusable] = Rule("certificate", _make_certificate)
