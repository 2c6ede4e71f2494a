"""Example requests, found from the match structure: for each rule some that meet it, by callers whom it asks for.

In: what resources compile to. Out: requests as route tests write them. Called by diff. A request of one rule may
well be taken by another one, which is why it is interesting.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, product
from typing import Any, NamedTuple
from urllib.parse import quote

import rstr
from fastforward_compiler import ir
from fastforward_compiler.ir.authpolicy import claim_path
from fastforward_compiler.translate.template import SEGMENT
from pydantic import ValidationError

from .testfile import ApiKeyIdentity, CaseRequest

_SUBJECT = "somebody"
_LABEL = "any"
_UNSEEN = "/some/where"
"""Below a prefix, and of hosts: what nobody is likely to have a rule for."""
_MOST_GRANTS = 4
_LONGEST = 64
"""Of a text that is made from a regular expression: as often as that something may be repeated."""


class Witness(NamedTuple):
    """A request, and where it is sent: others may have the host as well."""

    edge: str
    """NAMESPACE/NAME, with @PORT of a Gateway."""
    request: CaseRequest


class Witnesses:
    """Requests for each rule of a Delta from nothing."""

    def __init__(self, delta: ir.Delta) -> None:
        self._scopes = {scope.name: scope for scope in delta.scopes.upserts}
        self._edges = {edge.name: edge for edge in delta.edges.upserts}
        self._auths = {auth.name: auth for auth in delta.auths.upserts}
        self._tenants = tuple(sorted(delta.tenants.upserts, key=lambda tenant: tenant.name))
        self._tables = delta.tables.upserts
        self._sampler = rstr.Rstr(random.Random(0))  # noqa: S311 - the same requests every time

    def requests(self) -> Iterator[Witness]:
        """All of them; some twice."""
        for table in self._tables:
            scope = self._scopes.get(table.scope)
            if scope is not None:
                made = chain(self._unmatched(scope), *(self._of(scope, table, entry) for entry in table.entries))
                yield from (Witness(_place_of(scope), request) for request in made)

    def _unmatched(self, scope: ir.Scope) -> Iterator[CaseRequest]:
        made = _request("GET", scope, _UNSEEN, {})
        if made is not None:
            yield made

    def _of(self, scope: ir.Scope, table: ir.Table, entry: ir.Entry) -> Iterator[CaseRequest]:
        match, auth = entry.match, self._auths.get(entry.auth)
        headers = {text.name: self._text(text) for text in match.headers}
        if match.api_version and scope.edge in self._edges:
            headers[self._edges[scope.edge].api_version_header] = match.api_version
        for path, method in product(self._paths(match), _methods(match, auth)):
            query = "&".join(f"{text.name}={self._text(text)}" for text in match.query)
            target = f"{path}?{query}" if query else path
            for caller in self._callers(table, match, auth):
                made = _request(method, scope, target, {**headers}, listener=match.listener, **caller)
                if made is not None:
                    yield made

    def _paths(self, match: ir.Match) -> tuple[str, ...]:
        match match.path_type:
            case ir.PathType.EXACT:
                return (match.path,)
            case ir.PathType.PREFIX:
                return (match.path, f"{match.path.rstrip('/')}{_UNSEEN}")
            case _:
                return tuple(path for path in (self._sample(match.path),) if path.startswith("/"))

    def _text(self, text: ir.TextMatch) -> str:
        match text.type:
            case ir.TextType.PRESENT:
                return _LABEL
            case ir.TextType.REGEX:
                return self._sample(text.value)
            case _:
                return text.value

    def _sample(self, pattern: str) -> str:
        """A text that fits; empty when none can be made, for RE2 has words that Python does not know."""
        try:
            return str(self._sampler.xeger(pattern.replace(SEGMENT, _LABEL)))[:_LONGEST]
        except Exception:  # noqa: BLE001 - whatever the library makes of a pattern that it does not know
            return ""

    def _callers(self, table: ir.Table, match: ir.Match, auth: ir.Auth | None) -> Iterator[Mapping[str, Any]]:
        """Nobody first, then one for each way to be allowed, and one who may nothing."""
        yield {}
        if auth is None:
            return
        grants = [grant for each in auth.authorizations for grant in each.grants][:_MOST_GRANTS]
        wanted = [(grant.tenants, (*match.roles[:1], *grant.roles), grant.permissions) for grant in grants]
        for tenants, roles, permissions in (*wanted, ((), match.roles[:1], ())):
            for provider in auth.providers:
                tenant = self._tenant(table, match, (*tenants, *provider.tenants))
                yield _caller(provider, tenant, roles, permissions)

    def _tenant(self, table: ir.Table, match: ir.Match, named: Sequence[str]) -> str:
        if table.tenant:
            return table.tenant
        fitting = [
            tenant.name
            for tenant in self._tenants
            if (not match.flag or match.flag in tenant.flags) and match.region in ("", tenant.region)
        ]
        return next((name for name in named if name in fitting), next(iter((*fitting, *named)), ""))


def _methods(match: ir.Match, auth: ir.Auth | None) -> tuple[str, ...]:
    granted = [m for each in auth.authorizations for grant in each.grants for m in grant.methods] if auth else []
    fitting = match.methods or ("GET", *granted)
    return tuple(dict.fromkeys(fitting))


def _caller(
    provider: ir.Provider, tenant: str, roles: Sequence[str], permissions: Sequence[str]
) -> Mapping[str, dict[str, Any] | ApiKeyIdentity]:
    if not isinstance(provider.kind, ir.Jwt):
        identity = ApiKeyIdentity(tenant=tenant, subject=_SUBJECT, roles=tuple(roles), permissions=tuple(permissions))
        return {"api_key": identity}
    jwt, claims = provider.kind, dict[str, Any](iss=provider.kind.issuer, sub=_SUBJECT)
    for claim, value in (
        (jwt.tenant_claim, tenant),
        (jwt.roles_claim, list(roles)),
        (jwt.permissions_claim, list(permissions)),
    ):
        if value:
            _put(claims, claim_path(claim), value)
    return {"token": claims}


def _put(claims: dict[str, Any], path: Sequence[str], value: object) -> None:
    *outer, last = path
    for name in outer:
        claims = claims.setdefault(name, {})
    claims[last] = value


def _request(method: str, scope: ir.Scope, target: str, headers: dict[str, str], **more: Any) -> CaseRequest | None:  # noqa: ANN401
    """None for what can't be written as a URL."""
    host = scope.host.replace("*", _LABEL if "." in scope.host else f"{_LABEL}.invalid")
    # A Gateway has hosts of its own on each port.
    port = _place_of(scope).partition("@")[2]
    url = f"http://{host}{f':{port}' if port else ''}{quote(target, safe=_SAFE)}"
    try:
        return CaseRequest(method=method, url=url, headers=headers, **more)
    except ValidationError:
        return None


def _place_of(scope: ir.Scope) -> str:
    """The Edge, or a Gateway's port."""
    return scope.name.partition("|")[0]


_SAFE = "/?#[]@!$&'()*+,;=:%-._~"
"""What may stand in the target of a request (RFC 3986)."""
