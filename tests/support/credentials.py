"""Keys, certificates and key sets for tests, made when first asked for and never written down.

Out: PEM texts, JSON Web Key Sets, Secrets' data. Called by worlds and by tests of whatever reads Secrets.
"""

from __future__ import annotations

import base64
import datetime as dt
import functools
import hashlib
import hmac
import json
import secrets

import bcrypt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

EPOCH = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
_SEED = secrets.token_bytes(32)


@functools.cache
def private_key(label: str = "") -> ec.EllipticCurvePrivateKey:
    """A P-256 key; the same for the same label, as long as the process lives."""
    del label
    return ec.generate_private_key(ec.SECP256R1())


@functools.cache
def certificate_pem(*hosts: str) -> str:
    """A certificate for the hosts, signed by its own key, `private_key(hosts[0])`."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
    key = private_key(hosts[0])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(EPOCH)
        .not_valid_after(EPOCH + dt.timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def private_key_pem(label: str = "") -> str:
    """The key in PKCS #8."""
    return (
        private_key(label)
        .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        .decode()
    )


def pin(label: str = "") -> str:
    """What pins that key: SHA-256 of its public half in base64."""
    public = private_key(label).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return base64.b64encode(hashlib.sha256(public.public_bytes(serialization.Encoding.DER, form)).digest()).decode()


def tls_data(*hosts: str) -> dict[str, str]:
    """What a Secret of type kubernetes.io/tls holds, as text."""
    return {"tls.crt": certificate_pem(*hosts), "tls.key": private_key_pem(hosts[0])}


def public_jwk(label: str = "") -> dict[str, str]:
    """The public half of `private_key(label)` as a JSON Web Key."""
    numbers = private_key(label).public_key().public_numbers()
    x, y = (base64url(number.to_bytes(32)) for number in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": label or "key", "x": x, "y": y}


def jwks(*labels: str) -> str:
    """A JSON Web Key Set."""
    return json.dumps({"keys": [public_jwk(label) for label in labels or ("",)]})


def webhook_key(label: str) -> str:
    """A key as Standard Webhooks writes it; the same for the same label, as long as the process lives."""
    return "whsec_" + base64.b64encode(hmac.digest(_SEED, label.encode(), "sha256")).decode()


def apikeys_data(**tenants: str) -> dict[str, str]:
    """What a Secret of API keys holds: ID -> tenant; each key's secret part is its ID in lower case."""
    pepper = "pepper-for-tests-only"
    entries = {"pepper": pepper}
    for id_, tenant in tenants.items():
        hashed = hmac.new(pepper.encode(), id_.lower().encode(), hashlib.sha256).hexdigest()
        entries[id_] = json.dumps({"hash": hashed, "tenant": tenant, "subject": id_.lower()})
    return entries


@functools.cache
def password_hash(password: str) -> str:
    """A hash by bcrypt at the least cost that is taken; the same for the same password in one process."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(10)).decode()


def password_of(name: str) -> str:
    """The password of a user of `users_data`; it holds a colon, a blank and a letter that ASCII has not."""
    return f"{name}: pässword"


def users_data(**tenants: str) -> dict[str, str]:
    """What a Secret of users holds: name -> tenant."""
    lines = [f"{name}:{password_hash(password_of(name))}:" + json.dumps({"tenant": of}) for name, of in tenants.items()]
    return {"users": "\n".join(lines)}


def basic(name: str, password: str | None = None) -> dict[str, str]:
    """The header by which a user of `users_data` proves who it is."""
    said = f"{name}:{password_of(name) if password is None else password}"
    return {"authorization": "Basic " + base64.b64encode(said.encode()).decode()}


def base64url(octets: bytes) -> str:
    """Base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
