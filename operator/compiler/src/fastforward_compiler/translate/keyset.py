"""Key sets and API keys: what Secrets, ConfigMaps and fetched documents hold for authentication.

In: Secrets, ConfigMaps, fetched documents. Out: `ir.KeySet`, `ir.ApiKeys`, or why they can't be used. Called by
authpolicy through KEYSET and APIKEYS. Only public parts of asymmetric keys go further.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import fastforward_crds as crds

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells, Rule
from fastforward_compiler.problem import Reason

from .certificate import Unusable, fault_of_key
from .reference import target
from .world import CONFIG_MAPS, FETCHED, SECRETS

API_KEYS_TYPE = "gateway.fastforward.dev/api-keys"

_PUBLIC = ("alg", "crv", "e", "kid", "kty", "n", "use", "x", "y")
_MAX_KEYS = 100
_MIN_PEPPER = 16
_KEY_ID = re.compile(r"[A-Z2-7]{12}", re.IGNORECASE)
_HASH = re.compile(r"[0-9a-fA-F]{64}")


class KeySetSource(NamedTuple):
    """Where a key set is: `kind` is Secret, ConfigMap or URL; `key` is empty for a URL."""

    kind: str
    name: str
    key: str = ""

    def __str__(self) -> str:
        return f"{self.kind.lower()}/{self.name}/{self.key}" if self.key else f"url/{self.name}"


def find_source(jwks: crds.JwksSource, namespace: str) -> tuple[KeySetSource, str]:
    """Where the keys are that an object of the namespace names, and the field that says so."""
    if jwks.secret is not None:
        return KeySetSource("Secret", target(jwks.secret, namespace), jwks.secret.key), "secret"
    if jwks.config_map is not None:
        return KeySetSource("ConfigMap", target(jwks.config_map, namespace), jwks.config_map.key), "configMap"
    return KeySetSource("URL", jwks.url or ""), "url"


class ApiKeysFound(NamedTuple):
    """The usable keys of a Secret, and what is wrong with the others."""

    apikeys: ir.ApiKeys
    faults: tuple[str, ...]


def _make_keyset(cells: Cells, source: KeySetSource) -> ir.KeySet | Unusable:
    document = _read_document(cells, source)
    if isinstance(document, Unusable):
        return document
    reason = Reason.KEYS_UNAVAILABLE if source.kind == "URL" else Reason.SECRET_INVALID
    keys = _parse_keys(document)
    if keys is None:
        return Unusable(reason, f"{_place(source)} is no JSON Web Key Set (RFC 7517).")
    faults = [f"key {number} {fault}" for number, key in enumerate(keys) if (fault := _fault(key))]
    good = [{name: key[name] for name in _PUBLIC if name in key} for key in keys if not _fault(key)]
    if not good:
        told = f": {'; '.join(faults[:5])}" if faults else ""
        return Unusable(reason, f"{_place(source)} has no usable key{told}.")
    jwks = json.dumps({"keys": good}, sort_keys=True, separators=(",", ":"))
    return ir.KeySet(name=str(source), jwks=jwks.encode())


def _place(source: KeySetSource) -> str:
    return source.name if source.kind == "URL" else f"Key {source.key} of {source.kind} {source.name}"


def _read_document(cells: Cells, source: KeySetSource) -> bytes | Unusable:
    if source.kind == "URL":
        fetched = cells.read(FETCHED, source.name)
        if fetched is None:
            return Unusable(Reason.KEYS_UNAVAILABLE, f"{source.name} has not answered yet.")
        if not fetched:
            told = f"{source.name} has not answered for longer than maxStale; its last keys are not believed any more."
            return Unusable(Reason.KEYS_UNAVAILABLE, told)
        return fetched
    found = cells.read(SECRETS if source.kind == "Secret" else CONFIG_MAPS, source.name)
    if found is None:
        return Unusable(Reason.SECRET_NOT_FOUND, f"{source.kind} {source.name} was not found.")
    value = found.value(source.key)
    if value is None:
        return Unusable(Reason.SECRET_INVALID, f"{source.kind} {source.name} has no key {source.key}.")
    return value


def _parse_keys(document: bytes) -> list[Mapping[str, object]] | None:
    try:
        parsed = json.loads(document)
    except (ValueError, RecursionError):
        return None
    keys = parsed.get("keys") if isinstance(parsed, dict) else None
    if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
        return None
    return keys[:_MAX_KEYS]


def _fault(key: Mapping[str, object]) -> str:
    if key.get("use", "sig") != "sig":
        return "is not for signatures"
    if not isinstance(key.get("alg"), str):
        return "names no algorithm"
    if not isinstance(key.get("kid", ""), str):
        return "has a kid that is no text"
    return fault_of_key(key)


def _make_apikeys(cells: Cells, name: str) -> ApiKeysFound | Unusable:
    secret = cells.read(SECRETS, name)
    if secret is None:
        return Unusable(Reason.SECRET_NOT_FOUND, f"Secret {name} was not found.")
    if secret.type != API_KEYS_TYPE:
        return Unusable(Reason.SECRET_INVALID, f"Secret {name} has type {secret.type}, not {API_KEYS_TYPE}.")
    pepper = secret.value("pepper")
    if pepper is None or len(pepper) < _MIN_PEPPER:
        return Unusable(Reason.SECRET_INVALID, f"Secret {name} has no pepper of at least {_MIN_PEPPER} bytes.")
    ids = sorted({*secret.data, *secret.string_data} - {"pepper"})
    parsed = [(id_, _parse_apikey(id_, secret.value(id_) or b"")) for id_ in ids]
    keys = tuple(key for _, key in parsed if key is not None)
    faults = tuple(f"Key {id_[:64]} of Secret {name} is malformed." for id_, key in parsed if key is None)
    return ApiKeysFound(ir.ApiKeys(name=name, pepper=pepper, keys=keys), faults)


def _parse_apikey(id_: str, value: bytes) -> ir.ApiKey | None:
    try:
        entry = json.loads(value)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or _KEY_ID.fullmatch(id_) is None:
        return None
    hashed, not_after = entry.get("hash"), entry.get("notAfter", 0)
    texts = [entry.get("tenant", ""), entry.get("subject", "")]
    lists = [entry.get("roles", []), entry.get("permissions", [])]
    if not (isinstance(hashed, str) and _HASH.fullmatch(hashed) and type(not_after) is int and not_after >= 0):
        return None
    if not_after >= 1 << 63 or not all_text(texts) or not all(isinstance(x, list) and all_text(x) for x in lists):
        return None
    return ir.ApiKey(
        id=id_,
        hash=bytes.fromhex(hashed),
        tenant=texts[0],
        subject=texts[1],
        roles=tuple(lists[0]),
        permissions=tuple(lists[1]),
        not_after=not_after,
    )


def all_text(values: Iterable[object]) -> bool:
    """Whether all are texts that can be shown."""
    return all(isinstance(value, str) and value.isprintable() for value in values)


KEYSET: Rule[ir.KeySet | Unusable] = Rule("key set", _make_keyset)
APIKEYS: Rule[ApiKeysFound | Unusable] = Rule("API keys", _make_apikeys)
