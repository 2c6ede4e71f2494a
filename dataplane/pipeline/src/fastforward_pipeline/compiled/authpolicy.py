"""Auths as requests are judged by them, and the Identity that authentication ends in.

Made by `snapshot`; asked by stages/authentication and stages/authorization.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_pipeline.facts import NOBODY, Facts

from .expression import Expression
from .external import External, compile_external
from .token import Token, simplify_audience


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Provider:
    """One way to prove who the caller is."""

    name: str
    policy: str
    tenants: frozenset[str]
    any_tenant: bool

    def may_speak_for(self, tenant: str, namespace: str) -> bool:
        """Whether this provider's word on a tenant of the namespace counts."""
        return self.is_of(namespace) and (self.any_tenant or tenant in self.tenants)

    def is_of(self, namespace: str) -> bool:
        """Whether its policy lies there: nobody else speaks for the tenants of a namespace, whatever their names."""
        return self.policy.startswith(f"{namespace}/")

    @property
    def field(self) -> str:
        """The provider's place in its AuthPolicy."""
        return f"spec.authentication.providers[{self.name.rpartition('/')[2]}]"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TokenProvider(Provider):
    """By what an issuer has signed, and how its claims are read."""

    issuer: str
    keyset: str
    tenant_claim: tuple[str, ...]
    roles_claim: tuple[str, ...]
    permissions_claim: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JwtProvider(TokenProvider):
    """By JSON Web Token."""

    audiences: frozenset[str]
    skew_s: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OidcProvider(TokenProvider):
    """By login with a browser; the snapshot has an OidcClient of its name."""

    authorization_url: str
    end_session_url: str
    """Empty for none."""
    scope: str
    origin: str
    """Scheme, host and port that browsers see; empty for the request's own."""
    redirect_path: str
    logout_path: str
    session_s: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KeyProvider(Provider):
    """By API key."""

    header: str
    apikeys: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BasicProvider(Provider):
    """By name and password."""

    users: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Identity:
    """Who the caller is, as proven."""

    subject: str = ""
    tenant: str = ""
    roles: frozenset[str] = NOBODY
    permissions: frozenset[str] = NOBODY
    claims: Mapping[str, object] = field(default_factory=dict)
    provider: Provider | None = None
    """None for an anonymous caller."""
    key_id: str = ""
    until: int = 0
    """Unix time at which a session ends; 0 for no session."""


ANONYMOUS = Identity()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grant:
    """One way to be allowed; all that is set must hold. None asks for nothing."""

    name: str
    roles: frozenset[str] | None
    permissions: frozenset[str] | None
    tenants: frozenset[str] | None
    methods: frozenset[str] | None
    condition: Expression | None

    def allows(self, facts: Facts, identity: Identity, tenant: str) -> bool:
        """Whether the caller may."""
        return (
            (self.methods is None or facts.request.method in self.methods)
            and (self.tenants is None or tenant in self.tenants)
            and (self.roles is None or not self.roles.isdisjoint(identity.roles))
            and (self.permissions is None or self.permissions <= identity.permissions)
            and (self.condition is None or not self.condition.judge(facts, identity, tenant))
        )

    def missing(self, facts: Facts, identity: Identity, tenant: str) -> tuple[str, str, str]:
        """Returns the first thing that does not hold: field, expected, got."""
        if self.methods is not None and facts.request.method not in self.methods:
            return "methods", _either(self.methods), facts.request.method
        if self.tenants is not None and tenant not in self.tenants:
            return "tenants", _either(self.tenants), tenant or "no tenant"
        if self.roles is not None and self.roles.isdisjoint(identity.roles):
            return "roles", _either(self.roles), _listed(identity.roles)
        if self.permissions is not None and not self.permissions <= identity.permissions:
            return "permissions", " and ".join(sorted(self.permissions)), _listed(identity.permissions)
        if self.condition is not None:
            return "condition", self.condition.source, self.condition.judge(facts, identity, tenant)
        return "", "", ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Authorization:
    """What one policy asks; any grant suffices, and the service must allow it as well."""

    policy: str
    shadow: bool
    grants: tuple[Grant, ...]
    external: External | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Auth:
    """The effective AuthPolicies on a rule."""

    name: str
    required: bool
    jwt: tuple[JwtProvider, ...]
    keys: tuple[KeyProvider, ...]
    keys_by_header: tuple[tuple[str, tuple[KeyProvider, ...]], ...]
    basic: tuple[BasicProvider, ...]
    oidc: OidcProvider | None
    authorizations: tuple[Authorization, ...]
    asking: tuple[tuple[Authorization, External], ...]
    """Those of them that ask a service."""
    authentication: bytes
    """Alike for Auths that authenticate alike."""
    trials: tuple[Auth, ...] = ()
    """Authentications that are judged and reported only, by the names of their policies."""

    @property
    def key_headers(self) -> Iterator[str]:
        """Headers in which API keys are looked for."""
        for auth in (self, *self.trials):
            yield from (header for header, _ in auth.keys_by_header)


def compile_auth(name: str, wire: snapshot_pb2.Auth) -> Auth:
    """Returns the compiled Auth. Raises ValueError on what can't be judged."""
    trials = [snapshot_pb2.Auth(mode=trial.mode, providers=trial.providers) for trial in wire.trials]
    if wire.mode == snapshot_pb2.AUTH_MODE_UNSPECIFIED:
        raise ValueError(f"auth {name} has no mode that is known here")
    alone = snapshot_pb2.Auth(mode=wire.mode, providers=wire.providers)
    asks = wire.mode != snapshot_pb2.AUTH_MODE_NONE
    kinds = {provider.WhichOneof("kind") for provider in wire.providers}
    if not kinds <= {"jwt", "api_key", "basic", "oidc"}:
        raise ValueError(f"auth {name} has a provider of a kind that is not known here")
    keys = tuple(_compile_api_key(p) for p in wire.providers if asks and p.HasField("api_key"))
    headers = dict.fromkeys(provider.header for provider in keys)
    authorizations = tuple(_compile_authorization(authorization) for authorization in wire.authorizations)
    return Auth(
        name=name,
        required=wire.mode == snapshot_pb2.AUTH_MODE_REQUIRED,
        jwt=tuple(_compile_jwt(p) for p in wire.providers if asks and p.HasField("jwt")),
        keys=keys,
        keys_by_header=tuple((header, tuple(p for p in keys if p.header == header)) for header in headers),
        basic=tuple(_compile_basic(p) for p in wire.providers if asks and p.HasField("basic")),
        oidc=next((_compile_oidc(p) for p in wire.providers if asks and p.HasField("oidc")), None),
        authorizations=authorizations,
        asking=tuple((each, each.external) for each in authorizations if each.external is not None),
        authentication=alone.SerializeToString(deterministic=True),
        trials=tuple(compile_auth(each.policy, trial) for each, trial in zip(wire.trials, trials, strict=True)),
    )


def read_identity(provider: TokenProvider, token: Token, tenant: str) -> Identity:
    """Returns the identity that a verified token proves, for `tenant`."""
    return Identity(
        subject=token.subject,
        tenant=tenant,
        roles=_texts(find_claim(token.claims, provider.roles_claim)),
        permissions=_texts(find_claim(token.claims, provider.permissions_claim)),
        claims=token.claims,
        provider=provider,
    )


def find_claim(claims: Mapping[str, object], path: tuple[str, ...], default: object = None) -> object:
    """Returns the claim at `path`, object by object; `default` when there is none."""
    value: object = claims
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            return default
        value = value[name]
    return value


def claim_path(claim: str) -> tuple[str, ...]:
    """Returns the way to a claim: dots part the names of nested objects, except in a URL, which is one name."""
    return (claim,) if ":" in claim or "/" in claim else tuple(claim.split("."))


def _texts(value: object) -> frozenset[str]:
    """A list of texts, or one text whose words are meant (RFC 9068); whatever else is in a claim grants nothing."""
    if isinstance(value, str):
        return frozenset(value.split(" "))
    if isinstance(value, list):
        return frozenset(item for item in value if isinstance(item, str))
    return NOBODY


def _compile_jwt(wire: snapshot_pb2.Provider) -> JwtProvider:
    jwt = wire.jwt
    return JwtProvider(
        name=wire.name,
        policy=wire.policy,
        tenants=frozenset(wire.tenants),
        any_tenant=wire.any_tenant,
        issuer=jwt.issuer,
        audiences=frozenset(map(simplify_audience, jwt.audiences)),
        keyset=jwt.keyset,
        tenant_claim=claim_path(jwt.tenant_claim),
        roles_claim=claim_path(jwt.roles_claim),
        permissions_claim=claim_path(jwt.permissions_claim),
        skew_s=jwt.clock_skew_seconds,
    )


def _compile_oidc(wire: snapshot_pb2.Provider) -> OidcProvider:
    oidc = wire.oidc
    return OidcProvider(
        name=wire.name,
        policy=wire.policy,
        tenants=frozenset(wire.tenants),
        any_tenant=wire.any_tenant,
        issuer=oidc.issuer,
        keyset=oidc.keyset,
        tenant_claim=claim_path(oidc.tenant_claim),
        roles_claim=claim_path(oidc.roles_claim),
        permissions_claim=claim_path(oidc.permissions_claim),
        authorization_url=oidc.authorization_url,
        end_session_url=oidc.end_session_url,
        scope=oidc.scope,
        origin=oidc.origin,
        redirect_path=oidc.redirect_path,
        logout_path=oidc.logout_path,
        session_s=oidc.session_seconds,
    )


def _compile_api_key(wire: snapshot_pb2.Provider) -> KeyProvider:
    return KeyProvider(
        name=wire.name,
        policy=wire.policy,
        tenants=frozenset(wire.tenants),
        any_tenant=wire.any_tenant,
        header=wire.api_key.header.lower(),
        apikeys=tuple(wire.api_key.apikeys),
    )


def _compile_basic(wire: snapshot_pb2.Provider) -> BasicProvider:
    return BasicProvider(
        name=wire.name,
        policy=wire.policy,
        tenants=frozenset(wire.tenants),
        any_tenant=wire.any_tenant,
        users=tuple(wire.basic.users),
    )


def _compile_authorization(wire: snapshot_pb2.Authorization) -> Authorization:
    return Authorization(
        policy=wire.policy,
        shadow=wire.shadow,
        grants=tuple(_compile_grant(grant) for grant in wire.grants),
        external=compile_external(wire.external) if wire.HasField("external") else None,
    )


def _compile_grant(wire: snapshot_pb2.Grant) -> Grant:
    return Grant(
        name=wire.name,
        roles=frozenset(wire.roles) or None,
        permissions=frozenset(wire.permissions) or None,
        tenants=frozenset(wire.tenants) or None,
        methods=frozenset(wire.methods) or None,
        condition=Expression(wire.condition) if wire.condition else None,
    )


def _either(values: frozenset[str]) -> str:
    return " or ".join(sorted(values))


def _listed(values: frozenset[str]) -> str:
    return ", ".join(sorted(values)) or "none"
