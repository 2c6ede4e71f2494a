"""Authentication by JSON Web Token to the filter jwt_authn.

In: ir.Auth and ir.KeySet. Out: the filter `jwt` as it travels by ECDS, and what a route asks of it. Called by emitter
and entry.

Each provider is in the filter twice: NAME tells the tenant and the subject, `NAME#tables` also writes the header that
chooses the tenant's table; hosts with tenant tables use the latter. A verified token's claims are metadata under the
provider's name: nobody else can write there, so what is found there was said by that provider.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from google.protobuf import any_pb2

from fastforward_compiler import ir

from .chain import JWT, SUBJECT_HEADER, TABLE_HEADER, TENANT_HEADER
from .protos import (
    EnvoyMessage,
    base_pb2,
    jwt_authn_pb2,
)
from .wire import extension, pack

TABLES = "#tables"
TOKEN_HEADER = "header"
"""What a verified token's own header (JOSE, RFC 7515, section 4) is called in metadata; no provider is named so."""
_CACHED_TOKENS = 5000
_NO_KEYS = ir.KeySet(name="", jwks=b'{"keys":[]}')
_FROM = jwt_authn_pb2.JwtHeader(name="Authorization", value_prefix="Bearer ")


def verified_by_proxy(auth: ir.Auth) -> bool:
    """Whether routes ask the filter `jwt` for it."""
    return bool(auth.known_to_proxy)


def emit_jwt(auths: Iterable[ir.Auth], keysets: Mapping[str, ir.KeySet]) -> dict[str, bytes]:
    """Returns the filter `jwt`, with every provider and requirement that a route may name.

    Also of an Auth that is no longer for the proxy to verify: this filter is told before the routes, and a route that
    names a requirement that is not there answers 403.
    """
    config = jwt_authn_pb2.JwtAuthentication(stat_prefix="jwt")
    for auth in auths:
        issuers = [(provider, provider.kind) for provider in auth.providers if isinstance(provider.kind, ir.Jwt)]
        for suffix in ("", TABLES) if issuers else ():
            for provider, kind in issuers:
                keys = keysets.get(kind.keyset, _NO_KEYS)
                config.providers[provider.name + suffix].CopyFrom(emit_provider(provider, kind, keys, suffix))
            names = [provider.name + suffix for provider, _ in issuers]
            config.requirement_map[auth.name + suffix].CopyFrom(emit_requirement(names, auth.mode))
    return {JWT: extension(JWT, config)}


def emit_provider(provider: ir.Provider, jwt: ir.Jwt, keys: ir.KeySet, suffix: str) -> EnvoyMessage:
    """Returns one issuer. Envoy takes a clock skew of 0 for its default of a minute."""
    claim = jwt_authn_pb2.JwtClaimToHeader
    claims = [
        claim(header_name=TENANT_HEADER, claim_name=jwt.tenant_claim),
        claim(header_name=SUBJECT_HEADER, claim_name="sub"),
    ]
    if suffix == TABLES:
        claims.append(claim(header_name=TABLE_HEADER, claim_name=jwt.tenant_claim))
    return jwt_authn_pb2.JwtProvider(
        issuer=jwt.issuer,
        audiences=jwt.audiences,
        local_jwks=base_pb2.DataSource(inline_bytes=keys.jwks),
        forward=True,
        from_headers=[_FROM],
        payload_in_metadata=provider.name,
        header_in_metadata=TOKEN_HEADER,
        clock_skew_seconds=max(jwt.clock_skew_s, 1),
        jwt_cache_config=jwt_authn_pb2.JwtCacheConfig(jwt_cache_size=_CACHED_TOKENS),
        claim_to_headers=claims,
        clear_route_cache=suffix == TABLES,
    )


def emit_requirement(providers: Iterable[str], mode: ir.Mode) -> EnvoyMessage:
    """Returns what a route asks for: any one of the providers; a missing token passes where it is optional."""
    requirement = jwt_authn_pb2.JwtRequirement
    accepted = [requirement(provider_name=name) for name in providers]
    if mode is ir.Mode.OPTIONAL:
        accepted.append(requirement(allow_missing={}))
    if len(accepted) == 1:
        return accepted[0]
    return requirement(requires_any=jwt_authn_pb2.JwtRequirementOrList(requirements=accepted))


def emit_jwt_requirement(auth: ir.Auth, scope: ir.Scope) -> any_pb2.Any:
    """Returns the per-route configuration of `jwt` that asks for a token."""
    name = auth.name + (TABLES if scope.tenant_tables else "")
    return pack(jwt_authn_pb2.PerRouteConfig(requirement_name=name))
