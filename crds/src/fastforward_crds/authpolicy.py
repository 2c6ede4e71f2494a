"""AuthPolicy: who the caller is, and what the caller may do.

In: an AuthPolicy document. Out: `AuthPolicy`. Called by parse and by the compiler's translate/authpolicy.
"""

from __future__ import annotations

from typing import Annotated, Literal

from .durations import Duration
from .external import External
from .formats import METHOD, PERMISSION, TENANT, Condition, HeaderName, Label, Name
from .jwks import Claim, Identifier, JwksSource
from .lists import Items
from .meta import Model, PolicyTarget, Ref, Resource, Rule, count_set
from .oidc import Oidc


class Jwt(Model):
    """A JSON Web Token (RFC 7519) in `Authorization: Bearer`."""

    issuer: Identifier
    """Exact `iss`."""
    audiences: Annotated[tuple[Identifier, ...], Items(most=16, distinct=True)] = ()
    """Accepted `aud`, any one of them; not looked at when empty."""
    jwks: JwksSource
    """The issuer's public keys; each names its algorithm, asymmetric ones only."""
    tenant_claim: Claim = "tenant"
    """Claim that names the tenant."""
    roles_claim: Claim = "roles"
    """Claim with the list of roles."""
    permissions_claim: Claim = "permissions"
    """Claim with the list of permissions."""
    clock_skew: Duration = "60s"
    """Tolerance for `exp` and `nbf`."""


class ApiKey(Model):
    """An API key in a header; only keyed hashes are stored (`ff key create` makes both)."""

    header: HeaderName = "x-api-key"
    """Header that carries the key."""
    secrets: Annotated[tuple[Ref, ...], Items(least=1, most=64)]
    """Secrets of type gateway.fastforward.dev/api-keys."""


class Basic(Model):
    """A name and a password (RFC 7617) in `Authorization: Basic`; only salted hashes are stored (`ff user add`)."""

    secrets: Annotated[tuple[Ref, ...], Items(least=1, most=64)]
    """Secrets of type gateway.fastforward.dev/users; their key `users` has a user a line: `NAME:HASH`, the hash by
    bcrypt or argon2id, and maybe `:{"tenant": ..., "roles": [...], "permissions": [...]}`.
    """


class Provider(Model):
    """One way to prove who the caller is."""

    name: Label
    """Name, unique in the policy."""
    jwt: Jwt | None = None
    """By JSON Web Token."""
    api_key: ApiKey | None = None
    """By API key."""
    basic: Basic | None = None
    """By name and password."""
    oidc: Oidc | None = None
    """By login at an issuer, with a browser."""
    tenants: Annotated[tuple[Annotated[str, TENANT], ...], Items(most=1024, distinct=True)] = ()
    """Tenants that this provider may speak for, with their descendants; `*` for all; none when empty."""

    rules_cel = (
        Rule(
            "[has(self.jwt), has(self.apiKey), has(self.basic), has(self.oidc)].filter(x, x).size() == 1",
            "A provider is one of jwt, apiKey, basic and oidc.",
            "",
            lambda s: count_set(s.jwt, s.api_key, s.basic, s.oidc) == 1,
        ),
    )


class Authentication(Model):
    """Stage 3: who the caller is."""

    mode: Literal["Required", "Optional", "None"] = "Required"
    """Required refuses callers without proof (401), Optional lets them pass anonymously, None asks nobody.

    Bad proof is refused, except with None.
    """
    providers: Annotated[tuple[Provider, ...], Items(most=16, key="name")] = ()
    """Ways to prove it; any one suffices."""
    shadow: bool = False
    """Judge and report, but let everybody pass: as whom they have proven to be where nothing else asks for proof,
    otherwise as what that makes of them.
    """

    rules_cel = (
        Rule(
            "!has(self.shadow) || !self.shadow || self.mode != 'None'",
            "Mode None refuses nobody, so there is nothing to try.",
            "shadow",
            lambda s: not s.shadow or s.mode != "None",
        ),
        Rule(
            "(self.mode == 'None') != (has(self.providers) && size(self.providers) > 0)",
            "Providers are needed, except with mode None.",
            "providers",
            lambda s: (s.mode == "None") == (not s.providers),
        ),
        Rule(
            "!has(self.providers) || self.providers.filter(p, has(p.oidc)).size() <= 1",
            "Browsers are sent to one issuer.",
            "providers",
            lambda s: count_set(*(provider.oidc for provider in s.providers)) <= 1,
        ),
    )


class Grant(Model):
    """One way to be allowed; all that is set must hold."""

    name: Label
    """Name, unique in the policy; explanations and logs show it."""
    roles: Annotated[tuple[Label, ...], Items(most=64, distinct=True)] = ()
    """Roles, of which the caller has one."""
    permissions: Annotated[tuple[Annotated[str, PERMISSION], ...], Items(most=64, distinct=True)] = ()
    """Permissions, all of which the caller has."""
    tenants: Annotated[tuple[Name, ...], Items(most=64, distinct=True)] = ()
    """Tenants, of which the request's is one."""
    methods: Annotated[tuple[Annotated[str, METHOD], ...], Items(most=16, distinct=True)] = ()
    """Methods, of which the request's is one."""
    condition: Condition | None = None
    """CEL over `request` (method, path, host, headers, query, address) and `identity` (subject, tenant, roles,
    permissions, claims).
    """


class Authorization(Model):
    """Stage 5: what the caller may do. Where it has grants and an external service, both must allow."""

    grants: Annotated[tuple[Grant, ...], Items(most=64, key="name")] = ()
    """Ways to be allowed; any one suffices, nothing else is allowed (403)."""
    external: External | None = None
    """A service that is asked whether the request may pass, once grants have allowed it."""

    rules_cel = (
        Rule(
            "has(self.external) || (has(self.grants) && size(self.grants) > 0)",
            "An authorization has grants, or an external service that is asked.",
            "grants",
            lambda s: s.external is not None or bool(s.grants),
        ),
    )


class AuthPolicySpec(Model):
    """What an AuthPolicy says."""

    targets: Annotated[tuple[PolicyTarget, ...], Items(least=1, most=64)]
    """Edges, Gateways and routes that it applies to."""
    overridable: bool = False
    """Whether a route's policy may replace this one of its Edge or Gateway; if not, both hold, and a weaker one on a
    route is refused.
    """
    authentication: Authentication | None = None
    """Who the caller is; inherited when absent."""
    authorization: Authorization | None = None
    """What the caller may do; nothing further is asked when absent."""
    on_failure: Literal["Closed", "Open"] = "Closed"
    """What happens when the decision service can't be reached; always Closed where a provider takes passwords or logs
    in, or an external service is asked whose own `onFailure` is Closed.
    """
    shadow: bool = False
    """Judge and report the authorization, but let everything pass; `authentication.shadow` says it of the rest."""

    rules_cel = (
        Rule(
            "has(self.authentication) || has(self.authorization)",
            "A policy says something about authentication or authorization.",
            "",
            lambda s: count_set(s.authentication, s.authorization) > 0,
        ),
    )


class AuthPolicy(Resource):
    """Who the caller is, and what the caller may do."""

    kind: Literal["AuthPolicy"] = "AuthPolicy"
    spec: AuthPolicySpec
