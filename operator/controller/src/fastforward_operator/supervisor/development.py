"""Credentials for development, made at start and never shipped: a CA and certificate, an issuer of tokens, API keys.

In: the resources of a directory. Out: Secret and ConfigMap documents in a folder, for every reference to an object
whose name starts with `development-` and that the directory itself lacks. Called by `ff up` and `ff credentials`, which
keep the folder, and by the offline commands, which throw it away. Nothing here is meant for production: the names say
so.
"""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from fastforward_crds import GROUP, AuthPolicy, Edge, Provider, Resource, Tenant
from joserfc.errors import JoseError

from fastforward_operator.certificates import Certified
from fastforward_operator.providers.dump import dump_documents

from .apikey import SECRET_TYPE, new_api_key
from .certificates import expires_soon, new_authority, new_certificate
from .issuer import Issuer

PREFIX = "development-"
_KEYS = "api-keys.json"
"""The plain keys by tenant; with a Secret's name before it, those of that Secret and what is stored of them."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Missing:
    """An object for development that is referred to and not there. `purpose` is tls, jwks or api-keys."""

    purpose: str
    namespace: str
    name: str
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signatory:
    """Who development tokens are signed as, and for whom."""

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
    for provider in _providers(resource):
        source = provider.jwt.jwks.config_map if provider.jwt else None
        if source:
            yield Missing(purpose="jwks", namespace=source.namespace or own, name=source.name, key=source.key)
        for ref in provider.api_key.secrets if provider.api_key else ():
            yield Missing(purpose="api-keys", namespace=ref.namespace or own, name=ref.name)


def _providers(resource: Resource) -> tuple[Provider, ...]:
    if isinstance(resource, AuthPolicy) and resource.spec.authentication:
        return resource.spec.authentication.providers
    return ()


class DevelopmentError(Exception):
    """The folder of the credentials can't be used; the message says why and what to do."""


class Development:
    """The development credentials in a folder; made once, kept over restarts, also over those with other directories.

    One process at a time may `provide`: whoever has the lock of the state folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.resources = folder / "resources"
        """Folder of the documents alone, for whoever reads resources."""

    @property
    def ca_certificate(self) -> Path:
        """PEM file of the CA, for clients: `curl --cacert`."""
        return self._folder / "ca.crt"

    def provide(self, resources: Sequence[Resource]) -> None:
        """Make what is missing, as files with documents to be read like any other resources; remove what is not.

        Raises DevelopmentError.
        """
        with self._telling():
            self._provide(resources)

    @contextlib.contextmanager
    def _telling(self) -> Generator[None]:
        """A file that somebody broke, or a full disk, as one sentence."""
        try:
            yield
        except (OSError, ValueError, LookupError, TypeError, AttributeError, JoseError, yaml.YAMLError) as error:
            why = error.strerror if isinstance(error, OSError) else f"a file in it is broken: {error}"
            raise DevelopmentError(
                f"The development credentials in {self._folder} can't be used ({why}): remove that folder,"
                " and `ff up` makes them anew."
            ) from None

    def _provide(self, resources: Sequence[Resource]) -> None:
        wanted = sorted(missing_objects(resources))
        documents = {f"resources/{m.namespace}.{m.name}.yaml": self._document(m, resources) for m in wanted}
        for document in self.resources.glob("*.yaml"):
            if f"resources/{document.name}" not in documents:
                document.unlink()
        for name, document in documents.items():
            self._write(name, dump_documents(document))
        self._write_signatories(resources)

    def api_keys(self) -> dict[str, str]:
        """The plain API keys by tenant, for showing to the developer. Raises DevelopmentError."""
        with self._telling():
            keys: dict[str, str] = json.loads(self._read(_KEYS) or "{}")
            return keys

    def signatories(self) -> list[Signatory]:
        """The issuers that the development key signs for. Raises DevelopmentError."""
        with self._telling():
            entries = json.loads(self._read("issuers.json") or "[]")
            return [Signatory(issuer=entry["issuer"], audiences=tuple(entry["audiences"])) for entry in entries]

    def token(self, signatory: Signatory, claims: Mapping[str, object], valid: timedelta) -> str:
        """A signed JSON Web Token. Raises DevelopmentError."""
        with self._telling():
            issuer = self._issuer()
        return issuer.token(signatory.issuer, signatory.audiences, claims, valid)

    def _document(self, missing: Missing, resources: Sequence[Resource]) -> dict[str, object]:
        metadata = {"name": missing.name, "namespace": missing.namespace, "labels": {f"{GROUP}/use": "true"}}
        if missing.purpose == "jwks":
            keys = json.dumps({"keys": [self._issuer().public_key()]})
            return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {missing.key: keys}}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}
        if missing.purpose == "tls":
            certified = self._certificate(missing, _hosts_of(resources, missing))
            files = {"tls.crt": certified.certificate, "tls.key": certified.key}
            return {**secret, "type": "kubernetes.io/tls", "stringData": files}
        return {**secret, "type": SECRET_TYPE, "data": self._api_key_data(missing, resources)}

    def _issuer(self) -> Issuer:
        text = self._read("issuer.jwk")
        if text:
            return Issuer.load(text)
        issuer = Issuer.new()
        self._write("issuer.jwk", issuer.dump())
        return issuer

    def _write_signatories(self, resources: Iterable[Resource]) -> None:
        issuers: dict[str, list[str]] = {}
        for provider in (provider for resource in resources for provider in _providers(resource)):
            source = provider.jwt.jwks.config_map if provider.jwt else None
            if provider.jwt and source and source.name.startswith(PREFIX):
                issuers[provider.jwt.issuer] = list(provider.jwt.audiences)
        entries = [{"issuer": issuer, "audiences": audiences} for issuer, audiences in sorted(issuers.items())]
        self._write("issuers.json", json.dumps(entries))

    def _api_key_data(self, missing: Missing, resources: Iterable[Resource]) -> dict[str, str]:
        """One key a tenant; those made earlier stay, whatever was asked for since: a cluster may have them."""
        name_of_kept = f"{missing.namespace}.{missing.name}.{_KEYS}"
        kept: dict[str, dict[str, str]] = json.loads(self._read(name_of_kept) or "{}")
        data = kept.get("data", {"pepper": _base64(secrets.token_bytes(32))})
        plain = kept.get("keys", {})
        for tenant in (r for r in resources if isinstance(r, Tenant) and r.metadata.namespace == missing.namespace):
            name = tenant.metadata.name
            if name not in plain:
                key = new_api_key()
                identity = {"tenant": name, "subject": f"{name}-developer", "roles": ["member"]}
                entry = key.entry(base64.b64decode(data["pepper"]), identity)
                plain[name], data[key.id] = key.text, _base64(entry.encode())
        self._write(name_of_kept, json.dumps({"data": data, "keys": plain}))
        self._write(_KEYS, json.dumps(self.api_keys() | plain))
        return data

    def _certificate(self, missing: Missing, hosts: list[str]) -> Certified:
        name = f"{missing.namespace}.{missing.name}.json"
        kept: dict[str, Any] = json.loads(self._read(name) or "{}")
        if kept.get("hosts") == hosts:
            certified = Certified(certificate=kept["certificate"], key=kept["key"])
            if not expires_soon(certified):
                return certified
        made = new_certificate(self._authority(), hosts)
        self._write(name, json.dumps({"hosts": hosts, "certificate": made.certificate, "key": made.key}))
        return made

    def _authority(self) -> Certified:
        certificate, key = self._read("ca.crt"), self._read("ca.key")
        if certificate and key:
            authority = Certified(certificate=certificate, key=key)
            if not expires_soon(authority):
                return authority
        made = new_authority()
        self._write("ca.key", made.key)
        self._write("ca.crt", made.certificate)
        return made

    def _read(self, name: str) -> str:
        path = self._folder / name
        return path.read_text() if path.exists() else ""

    def _write(self, name: str, text: str) -> None:
        """Write beside, then rename; a file that says the same already stays as it is."""
        if self._read(name) == text:
            return
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        beside.touch(mode=0o600)
        beside.write_text(text)
        beside.rename(path)


def _hosts_of(resources: Iterable[Resource], missing: Missing) -> list[str]:
    """Hosts of the Edges that use the certificate; `*` can't be in a certificate and is left out."""
    hosts = {"localhost"}
    for edge in (r for r in resources if isinstance(r, Edge)):
        if any((m.namespace, m.name) == (missing.namespace, missing.name) for m in _references(edge)):
            hosts |= {host for _, host in edge.spec.own_hosts}
    return sorted(hosts - {"*"})


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
