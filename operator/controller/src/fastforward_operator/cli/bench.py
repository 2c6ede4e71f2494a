"""Real credentials for route tests: tokens signed by a key of our own, and stored API keys, in a copy of the snapshot.

In: the decision snapshot and the tests. Out: a snapshot that believes our key as well, and headers with tokens and
keys. Called by route_test and diff. Nothing else of the snapshot changes, so what is tested is what would be published.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from fastforward_pipeline import Request, Snapshot, TokenBuckets

from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_operator.supervisor.apikey import ApiKeyText, new_api_key
from fastforward_operator.supervisor.issuer import Issuer

from .listener import come_in
from .simulation import RequestError, judge, make_request
from .testfile import ApiKeyIdentity, Case

_VALID = timedelta(minutes=5)
_NOBODY = "https://issuer.invalid"
_DEFAULT_HEADER = "x-api-key"


class Bench:
    """A snapshot for tests, and the credentials that it believes."""

    def __init__(
        self, resources: Sequence[snapshot_pb2.Resource], cases: Sequence[Case], like: Bench | None = None
    ) -> None:
        """With `like`, the same credentials are believed as there; `cases` are then the same as well."""
        self.issuer = like.issuer if like is not None else Issuer.new()
        identities = [case.request.api_key for case in cases if case.request.api_key is not None]
        self.keys: Mapping[str, ApiKeyText] = (
            like.keys if like is not None else {_text(identity): new_api_key() for identity in identities}
        )
        self._identities = {_text(identity): identity for identity in identities}
        self._auths = {r.name.removeprefix("auth/"): r.auth for r in resources if r.WhichOneof("body") == "auth"}
        self.snapshot = Snapshot.empty().apply([self._believing(resource) for resource in resources])
        self._edges = {scope.edge for scope in self.snapshot.scopes.values()}

    def request(self, case: Case, credentials: Sequence[tuple[str, str]] = ()) -> Request:
        """What a test sends, at the Edge that the case names, if it is there; raises RequestError."""
        written = case.request
        request = make_request(
            written.method,
            written.url,
            [*written.headers.items(), *credentials],
            address=written.address,
            listener=written.listener,
            body_bytes=written.body_bytes,
        )
        return replace(request, edge=case.edge) if case.edge in self._edges else request

    def credentials(self, case: Case) -> list[tuple[str, str]]:
        """The headers that prove who the caller of a test is."""
        request, headers = case.request, []
        if request.token is None and request.api_key is None:
            return []
        providers = self._providers(case)
        if request.token is not None:
            headers.append(("authorization", f"Bearer {self._token(request.token, providers)}"))
        if request.api_key is not None:
            named = (one.api_key.header for one in providers if one.WhichOneof("kind") == "api_key")
            headers.append((next(named, _DEFAULT_HEADER), self.keys[_text(request.api_key)].text))
        return headers

    def _providers(self, case: Case) -> Sequence[snapshot_pb2.Provider]:
        """Who may prove it, by the rule that authenticates."""
        request = self.request(case)
        if not request.edge:
            # Where its listener can't be told, whoever sends it is told so.
            with contextlib.suppress(RequestError):
                request = come_in(self.snapshot, request, "listener")
        entry = judge(self.snapshot, request, TokenBuckets()).decision.entry
        auth = self._auths.get(entry.auth) if entry is not None else None
        return auth.providers if auth is not None else ()

    def _token(self, claims: Mapping[str, Any], providers: Sequence[snapshot_pb2.Provider]) -> str:
        issuers = [one.jwt for one in providers if one.WhichOneof("kind") == "jwt"]
        meant = next((one for one in issuers if claims.get("iss", one.issuer) == one.issuer), None)
        issuer, audiences = (meant.issuer, meant.audiences) if meant is not None else (_NOBODY, ())
        return self.issuer.token(issuer, audiences, claims, _VALID)

    def _believing(self, resource: snapshot_pb2.Resource) -> snapshot_pb2.Resource:
        """The resource, with our key among the issuers' keys and our API keys among the stored ones."""
        body = resource.WhichOneof("body")
        if body not in ("keyset", "apikeys"):
            return resource
        copy = snapshot_pb2.Resource()
        copy.CopyFrom(resource)
        if body == "keyset":
            keys = json.loads(copy.keyset.jwks)["keys"]
            copy.keyset.jwks = json.dumps({"keys": [*keys, self.issuer.public_key()]}).encode()
        for text, key in self.keys.items() if body == "apikeys" else ():
            identity = self._identities[text]
            copy.apikeys.keys.add(
                id=key.id,
                hash=key.hash(copy.apikeys.pepper),
                tenant=identity.tenant,
                subject=identity.subject,
                roles=identity.roles,
                permissions=identity.permissions,
            )
        return copy


def _text(identity: ApiKeyIdentity) -> str:
    return identity.model_dump_json()
