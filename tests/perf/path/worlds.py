"""The resources of the request path benchmark: one route with the features that a subject has, and callers for it.

In: the features by name, ports. Out: documents in one file, requests that must pass and requests that must be refused.
Called by subjects. Each feature that refuses has a path of its own on which it refuses everybody (/closed) or
everybody but the first (/few), so that a subject proves that it works before it is measured.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.jwk import RSAKey

from support.resources import (
    config_map,
    edge,
    granted_to,
    keys_of,
    limit,
    on,
    policy,
    prefix,
    proven_by,
    resource,
    route,
    rule,
    secret,
    upstream,
)

Document = dict[str, Any]
HOST = "bench.localhost"
PATH, FEW, CLOSED = "/svc", "/few", "/closed"
HEADERS, ADMISSION, LIMIT, JWT, KEYS, EXACT, LOG = "headers", "admission", "limit", "jwt", "keys", "exact", "log"
NATIVE = (HEADERS, ADMISSION, LIMIT)
"""What a proxy does by itself; JWT comes on top."""
HOP = (KEYS, EXACT)
PLENTY = 1_000_000_000
REMOVED, SET, ADDED = "x-removed", "x-set", "x-added"
DENIED = "192.0.2.0/24"
HERE = "127.0.0.0/8"
ISSUER = "https://issuer.bench.localhost"
READER, STRANGER = "READERREADER", "STRANGERSTRA"
"""Of keys: what comes before their secret part."""
_DOCUMENTS = 4000
"""In a file, which is read up to 1.5 MiB."""
_KEYS_TYPE = "gateway.fastforward.dev/api-keys"


class Callers:
    """Keys and tokens, made for one run."""

    def __init__(self) -> None:
        self._signing = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256", "kid": "bench"})
        self._pepper = secrets.token_urlsafe(16)
        self._key, self._stranger = secrets.token_hex(16), secrets.token_hex(16)

    @property
    def jwks(self) -> str:
        """The key set that verifies the tokens."""
        return json.dumps({"keys": [self._signing.as_dict(private=False)]})

    @property
    def token(self) -> dict[str, str]:
        """The header with a token that is good for a day, of RS256 with 2,048 bits."""
        claims = {"iss": ISSUER, "sub": "caller", "tenant": "acme", "exp": int(time.time()) + 86_400}
        return {"authorization": f"Bearer {jwt.encode({'alg': 'RS256', 'kid': 'bench'}, claims, self._signing)}"}

    @property
    def key(self) -> dict[str, str]:
        """The header with a key that has the role."""
        return {"x-api-key": f"ffk_{READER}_{self._key}"}

    @property
    def powerless(self) -> dict[str, str]:
        """The header with a key that has another role."""
        return {"x-api-key": f"ffk_{STRANGER}_{self._stranger}"}

    def stored(self) -> dict[str, str]:
        """What the Secret of API keys holds."""
        return {
            "pepper": self._pepper,
            READER: self._entry(self._key, "reader"),
            STRANGER: self._entry(self._stranger, "stranger"),
        }

    def _entry(self, key: str, role: str) -> str:
        digest = hmac.new(self._pepper.encode(), key.encode(), hashlib.sha256).hexdigest()
        return json.dumps({"hash": digest, "tenant": "acme", "subject": role, "roles": [role]})


def documents(features: Collection[str], callers: Callers, port: int, upstream_port: int) -> list[Document]:
    """One host, and the paths on which each feature refuses."""
    targets = (on("Route", "svc"), on("Route", "few"))
    made = [
        edge(port, name="public", hosts=[HOST], accessLog=LOG in features),
        upstream("work", upstream_port),
        _route("svc", PATH, features),
        _route("few", FEW, features),
    ]
    if ADMISSION in features:
        made.append(_route("closed", CLOSED, features, denied=HERE))
    if JWT in features:
        source = {"configMap": {"name": "jwks", "key": "jwks.json"}}
        tokens = {"name": "token", "jwt": {"issuer": ISSUER, "jwks": source}, "tenants": ["*"]}
        made += [
            config_map("jwks", {"jwks.json": callers.jwks}),
            policy("callers", *targets, authentication=proven_by(tokens)),
        ]
    if KEYS in features:
        made += [
            secret("api-keys", callers.stored(), _KEYS_TYPE),
            policy(
                "callers",
                *targets,
                authentication=proven_by(keys_of()),
                authorization=granted_to(readers={"roles": ["reader"]}),
            ),
        ]
    if KEYS in features or JWT in features:
        made.append(resource("Tenant", "acme", {}))
    if LIMIT in features or EXACT in features:
        by_tenant = [{"type": "Tenant"}] if KEYS in features else [{"type": "Address"}]
        exact: Document = {"enforcement": "Exact", "key": by_tenant} if EXACT in features else {}
        made += [
            limit("plenty", on("Route", "svc"), requests=PLENTY, **exact),
            limit("one", on("Route", "few"), requests=1, **exact),
        ]
    return made


def _route(name: str, path: str, features: Collection[str], denied: str = DENIED) -> Document:
    fields: dict[str, Any] = {}
    if HEADERS in features:
        changes = {
            "remove": [REMOVED],
            "set": [{"name": SET, "value": "set"}],
            "add": [{"name": ADDED, "value": "added"}],
        }
        fields = {"requestHeaders": changes, "responseHeaders": changes}
    admission = {"admission": {"denyAddresses": [denied]}} if ADMISSION in features else {}
    return route(name, rule(prefix(path), to="work", **fields), hosts=HOST, **admission)


def many_hosts(routes: int, port: int, upstream_port: int) -> list[Document]:
    """A host for each route, in one world."""
    shared = [edge(port, name="public", hosts=[f"*.{HOST}"], accessLog=False), upstream("work", upstream_port)]
    return shared + [
        route(f"r{number}", rule(prefix(PATH), to="work"), hosts=numbered_host(number)) for number in range(routes)
    ]


def many_paths(paths: int, port: int, upstream_port: int) -> list[Document]:
    """One host with this many paths, a Route each."""
    shared = [edge(port, name="public", hosts=[HOST], accessLog=False), upstream("work", upstream_port)]
    return shared + [
        route(f"r{number}", rule(prefix(numbered_path(number)), to="work"), hosts=HOST) for number in range(paths)
    ]


def numbered_host(number: int) -> str:
    """The host of a route; all are of one length, so that requests are."""
    return f"h{number:06}.{HOST}"


def numbered_path(number: int) -> str:
    """The path of a route; all are of one length, so that requests are."""
    return f"{PATH}{number:06}"


def write(documents: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """In as few files as may be, of JSON, which is YAML and quicker to write."""
    folder.mkdir(parents=True)
    for first in range(0, len(documents), _DOCUMENTS):
        texts = (json.dumps(each) for each in documents[first : first + _DOCUMENTS])
        (folder / f"from-{first}.yaml").write_text("\n---\n".join(texts))
