"""Credentials for development, made at start and never shipped: a CA and certificate, an issuer of tokens, API keys.

In: the resources of a directory. Out: Secret and ConfigMap documents in the state folder, for every reference to an
object whose name starts with `development-` and that the directory itself lacks. Called by `ff up`; the issuer's key
also by `ff token`. Nothing here is meant for production: the names say so.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from fastforward_crds import AuthPolicy, Edge, Resource, Tenant
from joserfc import jwt
from joserfc.jwk import ECKey

PREFIX = "development-"
_ALGORITHM = "ES256"
_VALID = timedelta(days=365)


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """An object for development that is referred to and not there. `purpose` is tls, jwks or api-keys."""

    purpose: str
    namespace: str
    name: str
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Who signs development tokens, and for whom."""

    issuer: str
    audiences: tuple[str, ...]


def missing_objects(resources: Iterable[Resource]) -> set[Missing]:
    """The references to development objects that no resource of the directory satisfies."""
    found = list(resources)
    present = {(r.metadata.namespace, r.metadata.name) for r in found if r.kind in ("Secret", "ConfigMap")}
    wanted = {missing for resource in found for missing in _references(resource)}
    return {m for m in wanted if m.name.startswith(PREFIX) and (m.namespace, m.name) not in present}


def _references(resource: Resource) -> Iterator[Missing]:
    own = resource.metadata.namespace
    if isinstance(resource, Edge):
        for listener in resource.spec.listeners:
            for ref in listener.tls.certificates if listener.tls else ():
                yield Missing(purpose="tls", namespace=ref.namespace or own, name=ref.name)
    if isinstance(resource, AuthPolicy) and resource.spec.authentication:
        for provider in resource.spec.authentication.providers:
            source = provider.jwt.jwks.config_map if provider.jwt else None
            if source:
                yield Missing(purpose="jwks", namespace=source.namespace or own, name=source.name, key=source.key)
            for ref in provider.api_key.secrets if provider.api_key else ():
                yield Missing(purpose="api-keys", namespace=ref.namespace or own, name=ref.name)


class Development:
    """The development credentials in a state folder; made once, kept over restarts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def ca_certificate(self) -> Path:
        """PEM file of the CA, for clients: `curl --cacert`."""
        return self._folder / "ca.crt"

    def provide(self, resources: Iterable[Resource]) -> list[Path]:
        """Make what is missing; returns the files with the documents, to be read like any other resources."""
        found = list(resources)
        wanted = sorted(missing_objects(found), key=lambda m: (m.purpose, m.namespace, m.name))
        if wanted:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        paths = [self._folder / f"{m.namespace}.{m.name}.yaml" for m in wanted]
        for missing, path in zip(wanted, paths, strict=True):
            if missing.purpose == "tls":
                self._write(path, self._tls_secret(missing, _hosts_of(found, missing)))
            elif not path.exists():
                self._write(path, self._jwks(missing) if missing.purpose == "jwks" else self._api_keys(missing, found))
        self._write_issuers(found)
        return paths

    def api_keys(self) -> dict[str, str]:
        """The plain API keys by tenant, for showing to the developer."""
        path = self._folder / "api-keys.json"
        keys: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        return keys

    def issuers(self) -> list[Issuer]:
        """The issuers that the development key signs for."""
        path = self._folder / "issuers.json"
        entries = json.loads(path.read_text()) if path.exists() else []
        return [Issuer(issuer=entry["issuer"], audiences=tuple(entry["audiences"])) for entry in entries]

    def token(self, issuer: Issuer, claims: dict[str, object], valid: timedelta) -> str:
        """A signed JSON Web Token; raises FileNotFoundError before `provide` made the key."""
        key = self._signing_key(create=False)
        now = datetime.now(UTC)
        body = {"iss": issuer.issuer, "iat": int(now.timestamp()), "exp": int((now + valid).timestamp()), **claims}
        if issuer.audiences:
            body["aud"] = list(issuer.audiences)
        return jwt.encode({"alg": _ALGORITHM, "kid": str(key.kid)}, body, key, algorithms=[_ALGORITHM])

    def _write(self, path: Path, document: dict[str, object]) -> None:
        self._write_private(path, yaml.safe_dump(document, sort_keys=False))

    def _write_private(self, path: Path, text: str) -> None:
        path.touch(mode=0o600)
        if path.read_text() != text:
            path.write_text(text)

    def _signing_key(self, *, create: bool) -> ECKey:
        path = self._folder / "issuer.jwk"
        if create and not path.exists():
            key = ECKey.generate_key("P-256", {"use": "sig", "alg": _ALGORITHM, "kid": secrets.token_hex(8)})
            self._write_private(path, json.dumps(key.as_dict(private=True)))
        return ECKey.import_key(json.loads(path.read_text()))

    def _jwks(self, missing: Missing) -> dict[str, object]:
        key = self._signing_key(create=True)
        keys = json.dumps({"keys": [key.as_dict(private=False)]})
        return _document("ConfigMap", missing, {"data": {missing.key: keys}})

    def _write_issuers(self, resources: list[Resource]) -> None:
        issuers: dict[str, list[str]] = {}
        for policy in (r for r in resources if isinstance(r, AuthPolicy) and r.spec.authentication):
            for provider in policy.spec.authentication.providers if policy.spec.authentication else ():
                source = provider.jwt.jwks.config_map if provider.jwt else None
                if provider.jwt and source and source.name.startswith(PREFIX):
                    issuers[provider.jwt.issuer] = list(provider.jwt.audiences)
        if issuers:
            entries = [{"issuer": issuer, "audiences": audiences} for issuer, audiences in sorted(issuers.items())]
            self._write_private(self._folder / "issuers.json", json.dumps(entries))

    def _api_keys(self, missing: Missing, resources: list[Resource]) -> dict[str, object]:
        pepper = secrets.token_bytes(32)
        data = {"pepper": base64.b64encode(pepper).decode()}
        plain = self.api_keys()
        for tenant in (r for r in resources if isinstance(r, Tenant) and r.metadata.namespace == missing.namespace):
            name = tenant.metadata.name
            text, identity, entry = new_api_key(
                pepper, {"tenant": name, "subject": f"{name}-developer", "roles": ["member"]}
            )
            plain[name] = text
            data[identity] = base64.b64encode(entry.encode()).decode()
        self._write_private(self._folder / "api-keys.json", json.dumps(plain))
        return _document("Secret", missing, {"type": "gateway.fastforward.dev/api-keys", "data": data})

    def _tls_secret(self, missing: Missing, hosts: list[str]) -> dict[str, object]:
        path = self._folder / f"{missing.namespace}.{missing.name}.json"
        made = json.loads(path.read_text()) if path.exists() else {}
        if made.get("hosts") != hosts:
            chain, key = self._certificate(hosts)
            made = {"hosts": hosts, "chain": chain, "key": key}
            self._write_private(path, json.dumps(made))
        return _document(
            "Secret",
            missing,
            {"type": "kubernetes.io/tls", "stringData": {"tls.crt": made["chain"], "tls.key": made["key"]}},
        )

    def _ca(self) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        key_path = self._folder / "ca.key"
        if not key_path.exists() or not self.ca_certificate.exists():
            key = ec.generate_private_key(ec.SECP256R1())
            name = _name("FastForward development CA")
            builder = _builder(name, name, key.public_key()).add_extension(
                x509.BasicConstraints(ca=True, path_length=0), True
            )
            self._write_private(key_path, _pem(key))
            self.ca_certificate.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        loaded = serialization.load_pem_private_key(key_path.read_bytes(), None)
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{key_path} holds no elliptic-curve key; remove it and start again.")
        return x509.load_pem_x509_certificate(self.ca_certificate.read_bytes()), loaded

    def _certificate(self, hosts: list[str]) -> tuple[str, str]:
        ca, ca_key = self._ca()
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
        builder = (
            _builder(_name("FastForward development"), ca.subject, key.public_key())
            .add_extension(names, critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        )
        chain = builder.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        return chain.decode(), _pem(key)


def new_api_key(pepper: bytes, identity: dict[str, object]) -> tuple[str, str, str]:
    """A new API key: its text (`ffk_ID_SECRET`, shown once), its ID, and the JSON entry to store under that ID."""
    key_id = base64.b32encode(secrets.token_bytes(10)).decode().rstrip("=").lower()[:12]
    secret = secrets.token_urlsafe(32)
    digest = hmac.new(pepper, secret.encode(), hashlib.sha256).hexdigest()
    return f"ffk_{key_id}_{secret}", key_id, json.dumps({"hash": digest, **identity})


def _hosts_of(resources: list[Resource], missing: Missing) -> list[str]:
    """Hosts of the Edges that use the certificate; `*` can't be in a certificate and is left out."""
    hosts: set[str] = {"localhost"}
    for edge in (r for r in resources if isinstance(r, Edge)):
        if any(m.namespace == missing.namespace and m.name == missing.name for m in _references(edge)):
            hosts |= set(edge.spec.hosts)
    return sorted(hosts - {"*"})


def _document(kind: str, missing: Missing, body: dict[str, object]) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {"name": missing.name, "namespace": missing.namespace},
        **body,
    }


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + _VALID)
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption()).decode()
