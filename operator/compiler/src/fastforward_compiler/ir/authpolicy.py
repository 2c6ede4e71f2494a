"""Who the caller is and what the caller may do: the effective combination of AuthPolicies on a rule.

Made by translate/authpolicy; read by emit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from .oidc import OidcLogin


class Mode(StrEnum):
    NONE = "None"
    OPTIONAL = "Optional"
    REQUIRED = "Required"


def claim_path(claim: str) -> tuple[str, ...]:
    """The way to a claim through nested objects: dots part the names, except in a URL, which is one name.

    `claim_path("realm_access.roles") == ("realm_access", "roles")`, as in most identity providers' settings;
    `claim_path("https://example.com/tenant")` has one part (OpenID Connect Core 1.0, section 5.1.2).
    """
    return (claim,) if ":" in claim or "/" in claim else tuple(claim.split("."))


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySet:
    """An issuer's public keys: RFC 7517 JSON, checked to hold asymmetric signature keys only."""

    name: str
    jwks: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A stored API key: HMAC-SHA-256(pepper, secret part)."""

    id: str
    hash: bytes
    tenant: str = ""
    subject: str = ""
    roles: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    not_after: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeys:
    """The keys of one Secret."""

    name: str
    pepper: bytes
    keys: tuple[ApiKey, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody with a password, of which `hash` is kept: bcrypt or argon2id, with salt and cost."""

    name: str
    hash: bytes
    tenant: str = ""
    roles: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Users:
    """The users of one Secret."""

    name: str
    users: tuple[User, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Jwt:
    """By JSON Web Token in `Authorization: Bearer`."""

    issuer: str
    audiences: tuple[str, ...]
    keyset: str
    tenant_claim: str
    roles_claim: str
    permissions_claim: str
    clock_skew_s: int

    @property
    def tenant_in_header(self) -> bool:
        """Whether the proxy can write the tenant into a header: for it, dots part names in URLs too."""
        return claim_path(self.tenant_claim) == tuple(self.tenant_claim.split("."))

    def narrows(self, other: Jwt) -> bool:
        """Whether the other accepts every token that this one accepts, and reads the same in it."""
        if self._proof != other._proof:
            return False
        audiences = not other.audiences or bool(self.audiences and set(self.audiences) <= set(other.audiences))
        return audiences and self.clock_skew_s <= other.clock_skew_s

    @property
    def _proof(self) -> tuple[str, ...]:
        return self.issuer, self.keyset, self.tenant_claim, self.roles_claim, self.permissions_claim


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyHeader:
    """By API key in a header; `apikeys` are names of ApiKeys."""

    header: str
    apikeys: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicPasswords:
    """By name and password in `Authorization: Basic`; `users` are names of Users."""

    users: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One way to prove who the caller is."""

    name: str
    """POLICY_NAMESPACE/POLICY_NAME/PROVIDER, unique in the Snapshot."""
    policy: str
    kind: Jwt | ApiKeyHeader | BasicPasswords | OidcLogin
    tenants: tuple[str, ...] = ()
    """Tenants that it may speak for, descendants included, on Edges and Gateways of its policy's namespace."""
    any_tenant: bool = False

    def at(self, namespace: str) -> Provider:
        """What it is on Edges of a namespace: only policies of that namespace speak for its tenants."""
        if self.policy.startswith(f"{namespace}/") or not (self.tenants or self.any_tenant):
            return self
        return replace(self, tenants=(), any_tenant=False)

    def is_as_strong_as(self, other: Provider) -> bool:
        """Whether whoever this one lets in, as whichever tenant, the other lets in too."""
        if not other.any_tenant and (self.any_tenant or not set(self.tenants) <= set(other.tenants)):
            return False
        match self.kind, other.kind:
            case Jwt() as jwt, Jwt() as wider:
                return jwt.narrows(wider)
            case ApiKeyHeader(header=header, apikeys=apikeys), ApiKeyHeader() as wider:
                return header == wider.header and set(apikeys) <= set(wider.apikeys)
            case BasicPasswords(users=users), BasicPasswords() as wider:
                return set(users) <= set(wider.users)
            case OidcLogin() as login, OidcLogin() as wider:
                return login.proves_as(wider)
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One way to be allowed; all that is set must hold."""

    name: str
    roles: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    condition: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class External:
    """A service that is asked whether a request may pass."""

    upstream: str
    """NAMESPACE/NAME."""
    path: str
    append_path: bool
    """Whether the request's path and query follow `path`."""
    request_headers: tuple[str, ...]
    """Names in lower case, sorted."""
    answer_headers: tuple[str, ...]
    """Of an answer that allows, for the upstream; in lower case, sorted."""
    timeout_ms: int
    fail_open: bool
    opa: bool = False
    """Whether it is asked by the Data API of Open Policy Agent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """What one policy asks; any grant suffices, and the service must allow it as well."""

    policy: str
    grants: tuple[Grant, ...]
    """None ask for nothing where there is a service; otherwise they let nobody pass."""
    shadow: bool = False
    external: External | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The authentication of a policy that is judged and reported only."""

    policy: str
    mode: Mode
    providers: tuple[Provider, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """The combination: one authentication, and authorizations that all must allow."""

    name: str
    """The policies' names, joined by `+` in order of attachment: Edge first."""
    mode: Mode
    providers: tuple[Provider, ...] = ()
    authorizations: tuple[Authorization, ...] = ()
    fail_open: bool = False
    trials: tuple[Trial, ...] = ()

    @property
    def logs_in(self) -> bool:
        """Whether browsers are sent to an issuer."""
        return any(isinstance(provider.kind, OidcLogin) for provider in self.providers)

    @property
    def known_to_proxy(self) -> tuple[Provider, ...]:
        """The providers whose tokens the proxy verifies: all of them, or none."""
        return self.providers if self.native and self.mode is not Mode.NONE else ()

    @property
    def native(self) -> bool:
        """Whether the proxy can do all of it: JWT with tenants that fit its headers only, no CEL conditions or services
        that are asked, and nothing that is only tried: it can let bad tokens pass, but not say why it would not.
        """
        if self.trials:
            return False
        return all(isinstance(p.kind, Jwt) and p.kind.tenant_in_header for p in self.providers) and not any(
            each.external is not None or any(grant.condition for grant in each.grants) for each in self.authorizations
        )
