"""Auths, key sets, API keys and users to their wire form. Called by emitter."""

from __future__ import annotations

from typing import assert_never

from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_compiler import ir

from .external import emit_external
from .oidc import emit_oidc

MODES = {
    ir.Mode.NONE: snapshot_pb2.AUTH_MODE_NONE,
    ir.Mode.OPTIONAL: snapshot_pb2.AUTH_MODE_OPTIONAL,
    ir.Mode.REQUIRED: snapshot_pb2.AUTH_MODE_REQUIRED,
}


def emit_auth(auth: ir.Auth) -> snapshot_pb2.Auth:
    """Returns the wire form of an effective AuthPolicy."""
    return snapshot_pb2.Auth(
        mode=MODES[auth.mode],
        providers=[emit_provider(provider) for provider in auth.providers],
        authorizations=[emit_authorization(authorization) for authorization in auth.authorizations],
        fail_open=auth.fail_open,
        trials=[
            snapshot_pb2.ShadowAuthentication(
                policy=trial.policy, mode=MODES[trial.mode], providers=[emit_provider(each) for each in trial.providers]
            )
            for trial in auth.trials
        ],
    )


def emit_provider(provider: ir.Provider) -> snapshot_pb2.Provider:
    """Returns the wire form of a provider."""
    message = snapshot_pb2.Provider(
        name=provider.name, policy=provider.policy, tenants=provider.tenants, any_tenant=provider.any_tenant
    )
    match provider.kind:
        case ir.Jwt() as jwt:
            message.jwt.CopyFrom(emit_jwt(jwt))
        case ir.ApiKeyHeader(header=header, apikeys=apikeys):
            message.api_key.CopyFrom(snapshot_pb2.ApiKeyProvider(header=header, apikeys=apikeys))
        case ir.BasicPasswords(users=users):
            message.basic.CopyFrom(snapshot_pb2.BasicProvider(users=users))
        case ir.OidcLogin() as login:
            message.oidc.CopyFrom(emit_oidc(login))
        case _:
            assert_never(provider.kind)
    return message


def emit_jwt(jwt: ir.Jwt) -> snapshot_pb2.JwtProvider:
    """Returns the wire form of a JWT provider."""
    return snapshot_pb2.JwtProvider(
        issuer=jwt.issuer,
        audiences=jwt.audiences,
        keyset=jwt.keyset,
        tenant_claim=jwt.tenant_claim,
        roles_claim=jwt.roles_claim,
        permissions_claim=jwt.permissions_claim,
        clock_skew_seconds=jwt.clock_skew_s,
    )


def emit_authorization(authorization: ir.Authorization) -> snapshot_pb2.Authorization:
    """Returns the wire form of what one policy asks."""
    return snapshot_pb2.Authorization(
        policy=authorization.policy,
        shadow=authorization.shadow,
        external=None if authorization.external is None else emit_external(authorization.external),
        grants=[
            snapshot_pb2.Grant(
                name=grant.name,
                roles=grant.roles,
                permissions=grant.permissions,
                tenants=grant.tenants,
                methods=grant.methods,
                condition=grant.condition,
            )
            for grant in authorization.grants
        ],
    )


def emit_keyset(keyset: ir.KeySet) -> snapshot_pb2.KeySet:
    """Returns the wire form of an issuer's public keys."""
    return snapshot_pb2.KeySet(jwks=keyset.jwks)


def emit_apikeys(apikeys: ir.ApiKeys) -> snapshot_pb2.ApiKeys:
    """Returns the wire form of one Secret's keys."""
    return snapshot_pb2.ApiKeys(
        pepper=apikeys.pepper,
        keys=[
            snapshot_pb2.ApiKey(
                id=key.id,
                hash=key.hash,
                tenant=key.tenant,
                subject=key.subject,
                roles=key.roles,
                permissions=key.permissions,
                not_after=key.not_after,
            )
            for key in apikeys.keys
        ],
    )


def emit_users(users: ir.Users) -> snapshot_pb2.Users:
    """Returns the wire form of one Secret's users."""
    return snapshot_pb2.Users(
        users=[
            snapshot_pb2.User(
                name=user.name,
                hash=user.hash.decode(),
                tenant=user.tenant,
                roles=user.roles,
                permissions=user.permissions,
            )
            for user in users.users
        ]
    )
