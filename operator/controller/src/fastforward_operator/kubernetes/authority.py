"""The certificate authority of an installation: one Secret, which all operators of a namespace sign by.

In: the Secret `fastforward-ca`, a clock, who leads. Out: certificates, and the bundle of authorities to believe. Called
by bootstrap. The first operator makes the Secret; the leader renews it in time. A new authority is announced in the
bundle before anything is signed by it, and the old one stays there until it ends, so nobody meets a certificate that he
can't check. A Secret that can't be read is told and never written over: somebody's certificates hang on it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import structlog
from cryptography import x509

from fastforward_operator.certificates import (
    Certified,
    Subject,
    ends_at,
    issue,
    load_certificate,
    load_key,
    made_at,
    new_authority,
    renew_at,
    to_pem,
)
from fastforward_operator.xds.identity import Identity

from .client import CONFLICT, ApiError, Client

_log = structlog.get_logger(__name__)

NAME = "fastforward-ca"
AUTHORITY_LIFETIME = timedelta(days=365)
LIFETIME = timedelta(days=30)
"""Of what is signed; renewed after twenty days."""
ANNOUNCED = timedelta(hours=1)
"""How long a new authority is in the bundle before it signs: everybody must have read the bundle by then."""
CHECK_S = 30.0
"""How often the Secret is looked at."""
_OF_THE_WORLD = (ApiError, aiohttp.ClientError, TimeoutError, OSError)


class AuthorityError(Exception):
    """A sentence that says which Secret is broken, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What the Secret holds."""

    current: Certified
    """Who signs."""
    following: Certified | None = None
    """Who will sign when it has been announced for long enough."""
    bundle: tuple[str, ...]
    """Certificates of all authorities to believe; of `current` and `following` too."""


def spiffe(namespace: str, noun: str, name: str) -> str:
    """The URI by which a client is known, such as `spiffe://fastforward/ns/shop/edge/public`."""
    return Identity(kind=noun, namespace=namespace, name=name).uri


def first(now: datetime) -> Held:
    """The first authority: nobody has to be told of it before."""
    made = _new(now)
    return Held(current=made, bundle=(made.certificate,))


def renewed(held: Held, now: datetime) -> Held:
    """What should be held at this time; the same when there is nothing to do."""
    current, following = held.current, held.following
    if following is None and now >= renew_at(current.certificate):
        following = _new(now)
    if following is not None:
        announced = now >= made_at(following.certificate) + ANNOUNCED
        if announced or now >= ends_at(current.certificate):
            current, following = following, None
    believed = [current, *([following] if following is not None else [])]
    every = dict.fromkeys([*(each.certificate for each in believed), *held.bundle])
    bundle = tuple(each for each in every if ends_at(each) > now)
    if (current, following) == (held.current, held.following) and set(bundle) == set(held.bundle):
        return held
    return Held(current=current, following=following, bundle=bundle)


def _new(now: datetime) -> Certified:
    # A name of its own: whoever looks for the issuer of a certificate by name finds one.
    return new_authority(f"FastForward CA {secrets.token_hex(4)}", now=now, lifetime=AUTHORITY_LIFETIME)


def write_secret(held: Held, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The Secret with this name, namespace and so on."""
    data = {"tls.crt": held.current.certificate, "tls.key": held.current.key, "ca.crt": "".join(held.bundle)}
    if held.following is not None:
        data |= {"next.crt": held.following.certificate, "next.key": held.following.key}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": dict(metadata),
        "type": "kubernetes.io/tls",
        "data": {name: base64.b64encode(text.encode()).decode() for name, text in data.items()},
    }


def read_secret(document: Mapping[str, Any]) -> Held:
    """What the Secret holds. Raises AuthorityError."""
    try:
        data = _texts(document)
        current = _pair(data, "tls")
        following = _pair(data, "next") if data.keys() & {"next.crt", "next.key"} else None
        bundle = _bundle(data)
        if not {current.certificate, *([following.certificate] if following else [])} <= set(bundle):
            raise _FaultError("ca.crt does not hold the certificate of every authority that signs")
    except _FaultError as fault:
        metadata = document["metadata"]
        raise AuthorityError(
            f"Secret {metadata['namespace']}/{metadata['name']}: {fault}. It is left as it is: mend it from a copy, or "
            "delete it, and the operator writes what it still holds, or else a new authority."
        ) from None
    return Held(current=current, following=following, bundle=bundle)


class _FaultError(Exception):
    """What is wrong with the Secret, without its name."""


def _texts(document: Mapping[str, Any]) -> dict[str, str]:
    texts = {}
    for name, value in (document.get("data") or {}).items():
        try:
            texts[name] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError, TypeError):
            raise _FaultError(f"{name} is no text") from None
    return texts


def _pair(data: Mapping[str, str], name: str) -> Certified:
    texts = {part: data.get(f"{name}.{part}", "") for part in ("crt", "key")}
    for part, text in texts.items():
        if not text.strip():
            raise _FaultError(f"{name}.{part} is missing")
    try:
        certificate = load_certificate(texts["crt"])
        signs = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (ValueError, x509.ExtensionNotFound):
        raise _FaultError(f"{name}.crt is no certificate of an authority") from None
    try:
        public = load_key(texts["key"]).public_key()
    except (ValueError, TypeError):
        raise _FaultError(f"{name}.key is no private key") from None
    if not signs:
        raise _FaultError(f"{name}.crt is no certificate of an authority")
    if public != certificate.public_key():
        raise _FaultError(f"{name}.key does not belong to {name}.crt")
    return Certified(certificate=to_pem(certificate), key=texts["key"])


def _bundle(data: Mapping[str, str]) -> tuple[str, ...]:
    try:
        return tuple(map(to_pem, x509.load_pem_x509_certificates(data.get("ca.crt", "").encode())))
    except ValueError:
        raise _FaultError("ca.crt holds no certificates") from None


@dataclass(slots=True)
class Authority:
    """One a process; all of a namespace hold the same."""

    client: Client
    namespace: str
    leads: Callable[[], bool]
    """Whether this process may renew."""
    name: str = NAME
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    on_change: list[Callable[[], None]] = field(default_factory=list)
    """Called each time that what is held changed."""
    held: Held | None = None
    fault: str = ""
    """What stands in the way of reading or renewing it."""
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when something is held."""

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.refresh()
                self.fault = ""
            except (AuthorityError, *_OF_THE_WORLD) as error:
                fault = str(error) or type(error).__name__
                if fault != self.fault:
                    _log.error("certificate authority", error=fault)
                self.fault = fault
            await asyncio.sleep(CHECK_S if self.held is not None else 1.0)

    async def refresh(self) -> None:
        """Read the Secret; make it when it is not there, renew it when it is time. Raises AuthorityError, as Client."""
        found = await self.client.read(self._path)
        if found is None:
            held = self.held or first(self.clock())
            found = await self._write(self.client.create, self._collection, write_secret(held, self._metadata()))
            _log.info("certificate authority is written", secret=f"{self.namespace}/{self.name}")
        held = read_secret(found)
        due = renewed(held, self.clock())
        if due is not held and self.leads():
            metadata = {name: value for name, value in found["metadata"].items() if name != "managedFields"}
            held = read_secret(await self._write(self.client.replace, self._path, write_secret(due, metadata)))
            _log.info("certificate authority is renewed", announced=held.following is not None)
        self._hold(held)

    def issue(self, subject: Subject, lifetime: timedelta = LIFETIME) -> Certified:
        """A certificate that everybody who has the bundle believes. Raises ValueError, before anything is held too."""
        if self.held is None:
            raise ValueError("There is no certificate authority yet.")
        return issue(self.held.current, subject, now=self.clock(), lifetime=lifetime)

    @property
    def bundle(self) -> str:
        """PEM of all authorities to believe; empty before anything is held."""
        return "".join(self.held.bundle) if self.held is not None else ""

    def _hold(self, held: Held) -> None:
        if held == self.held:
            return
        self.held = held
        self.ready.set()
        for told in self.on_change:
            told()

    async def _write(self, write: Callable[[str, Mapping[str, Any]], Any], path: str, body: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
        """Write, and read what is there then: somebody else may have been quicker."""
        try:
            await write(path, body)
        except ApiError as error:
            if error.status != CONFLICT:
                raise
        found = await self.client.read(self._path)
        if found is None:
            raise AuthorityError(f"Secret {self.namespace}/{self.name} is taken away as soon as it is written.")
        return found

    def _metadata(self) -> dict[str, Any]:
        labels = {"app.kubernetes.io/managed-by": "fastforward", "app.kubernetes.io/part-of": "fastforward"}
        return {"name": self.name, "namespace": self.namespace, "labels": labels}

    @property
    def _collection(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/secrets"

    @property
    def _path(self) -> str:
        return f"{self._collection}/{self.name}"
