"""Authorization and the tenant guard to RBAC over what verified tokens say.

In: the Auth of an entry, the table that it stands in, the providers that may have verified the request's token. Out:
per-route configuration of the filter `authorization`, packed. Called by entry.

The guard: whoever says that the caller belongs to a tenant must be allowed to speak for that tenant. A tenant's table
lets nothing else in; elsewhere a token that oversteps is refused. Where the decision service was asked, it has judged
the grants and the tenant: its answer, which Envoy keeps as metadata, counts as much as a token.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from google.protobuf import any_pb2

from fastforward_compiler import ir

from .authpolicy import TOKEN_HEADER
from .chain import DECISION, TENANT_HEADER
from .protos import EnvoyMessage
from .rbac import ANYBODY, NOBODY, contains, every, header_matches, metadata, none, refuse, some, text_in, text_matches
from .refusal import NOT_GRANTED, TENANT_CONFLICT, TENANT_NOT_ALLOWED, TOKEN_CRITICAL
from .wire import literal_pattern

_TOKEN = "envoy.filters.http.jwt_authn"
_TENANT = "[!-,.-~]|[!-~]{2,}"
"""What may name a tenant: no spaces, and not the dash that stands for everybody's table."""


def emit_grants(
    auth: ir.Auth | None,
    providers: tuple[ir.Provider, ...],
    table: ir.Table,
    scope: ir.Scope,
    otherwise: tuple[Mapping[str, EnvoyMessage], Mapping[str, EnvoyMessage]],
) -> any_pb2.Any | None:
    """Returns what is refused to a request that the decision service need not have seen; None when nothing is.

    `otherwise` is refused by other reasons, and what would be.
    """
    tenant = table.tenant or scope.host_tenant
    judged = decided(table.tenant) if table.tenant else NOBODY
    refused = {**otherwise[0], **dict(emit_guard(providers, table, scope))}
    missing: list[EnvoyMessage] = []
    shadow = dict(otherwise[1])
    for authorization in auth.authorizations if auth is not None else ():
        granted = some(judged, *(emit_grant(grant, providers, tenant) for grant in authorization.grants))
        if authorization.shadow:
            shadow[authorization.policy] = none(granted)
        else:
            missing.append(none(granted))
    if missing:
        refused[NOT_GRANTED] = some(*missing)
    return refuse(refused, shadow)


def emit_guard(
    providers: tuple[ir.Provider, ...], table: ir.Table, scope: ir.Scope
) -> Iterator[tuple[str, EnvoyMessage]]:
    """Yields the guard as named refusals."""
    if providers:
        # RFC 7515, section 4.1.11: whoever does not know what a token calls critical must not accept it.
        yield TOKEN_CRITICAL, metadata(_TOKEN, (TOKEN_HEADER, "crit"))
    if table.tenant:
        proofs = [says_tenant(p, (table.tenant,)) for p in providers if p.any_tenant or table.tenant in p.tenants]
        yield TENANT_NOT_ALLOWED, none(some(decided(table.tenant), *proofs))
        return
    if providers:
        yield TENANT_NOT_ALLOWED, some(*(every(said(p, tenant_claim(p)), none(may_say(p))) for p in providers))
    if providers and scope.host_tenant:
        others = (every(names_tenant(p), none(says_tenant(p, (scope.host_tenant,)))) for p in providers)
        yield TENANT_CONFLICT, some(*others)


def decided(tenant: str) -> EnvoyMessage:
    """Returns the requests of which the decision service said that they are the tenant's."""
    return metadata(DECISION, (TENANT_HEADER,), text_in((tenant,)))


def may_say(provider: ir.Provider) -> EnvoyMessage:
    """Returns the requests whose token, by this provider, names a tenant that it may, or says that there is none."""
    if not provider.any_tenant:
        return names_tenant(provider)
    return said(provider, tenant_claim(provider), text_matches(f"|{_TENANT}", or_null=True))


def names_tenant(provider: ir.Provider) -> EnvoyMessage:
    """Returns the requests whose token, by this provider, names a tenant that it may."""
    if provider.any_tenant:
        return said(provider, tenant_claim(provider), text_matches(_TENANT))
    return says_tenant(provider, provider.tenants) if provider.tenants else NOBODY


def says_tenant(provider: ir.Provider, tenants: tuple[str, ...]) -> EnvoyMessage:
    """Returns the requests whose token, by this provider, names one of the tenants."""
    return said(provider, tenant_claim(provider), text_in(tenants))


def said(provider: ir.Provider, claim: str, value: EnvoyMessage | None = None) -> EnvoyMessage:
    """Returns the requests whose token, verified by this provider, has the claim, with that value."""
    path = (provider.name, *ir.claim_path(claim))
    return metadata(_TOKEN, path) if value is None else metadata(_TOKEN, path, value)


def tenant_claim(provider: ir.Provider) -> str:
    """Returns the claim that names the tenant."""
    return provider.kind.tenant_claim if isinstance(provider.kind, ir.Jwt) else ""


def emit_grant(grant: ir.Grant, providers: tuple[ir.Provider, ...], tenant: str) -> EnvoyMessage:
    """Returns the requests that the grant allows: all that it asks holds."""
    kinds = [(provider, provider.kind) for provider in providers if isinstance(provider.kind, ir.Jwt)]
    asked = [
        some(*(said(provider, jwt.permissions_claim, contains(name)) for provider, jwt in kinds))
        for name in grant.permissions
    ]
    if grant.roles:
        asked.append(some(*(said(p, jwt.roles_claim, contains(name)) for p, jwt in kinds for name in grant.roles)))
    if grant.tenants:
        asked.append(emit_tenants(grant.tenants, providers, tenant))
    if grant.methods:
        asked.append(header_matches(":method", "|".join(map(literal_pattern, grant.methods))))
    return every(*asked)


def emit_tenants(tenants: tuple[str, ...], providers: tuple[ir.Provider, ...], tenant: str) -> EnvoyMessage:
    """Returns the requests of one of the tenants; where the table or the host says whose they are, all or none."""
    if tenant:
        return ANYBODY if tenant in tenants else NOBODY
    return some(*(says_tenant(provider, tenants) for provider in providers))
