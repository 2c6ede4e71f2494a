"""Login by OpenID Connect: browsers are sent to the issuer, and come back with a code that becomes a session.

Part of an AuthPolicy document. Called by authpolicy and by the compiler's translate/oidc.
"""

from __future__ import annotations

from typing import Annotated, Literal

from .durations import Within
from .formats import DURATION, LOCATION, SCOPE, SITE, URL
from .jwks import Claim, Identifier, JwksSource
from .lists import Items
from .meta import KeyRef, Model, Ref, Rule

SitePath = Annotated[str, LOCATION]


class OidcEndpoints(Model):
    """Where the issuer is asked, as its discovery document says."""

    authorization: Annotated[str, URL]
    """Where browsers log in."""
    token: Annotated[str, URL]
    """Where the decision service exchanges the code, through `tokenUpstream`: host and path are sent as they are here.
    """
    end_session: Annotated[str, URL] | None = None
    """Where browsers are sent after they have logged out here; to `/` when absent."""


class Oidc(Model):
    """A login at the issuer (OpenID Connect Core 1.0, authorization code flow with PKCE), remembered by a cookie."""

    issuer: Identifier
    """Exact `iss` of the ID token."""
    client_id: Identifier
    """What the issuer calls this client; the ID token's `aud`."""
    client_secret: KeyRef
    """Key of a Secret with the client's secret, at least 16 bytes: what encrypts the cookies is derived from it."""
    endpoints: OidcEndpoints
    """Where the issuer is asked."""
    token_upstream: Ref
    """Upstream by which the token endpoint is reached: its endpoints, its TLS, whom to believe."""
    token_authentication: Literal["Basic", "Post"] = "Basic"
    """How the client proves itself to the token endpoint: in a header (`client_secret_basic`), or in the form
    (`client_secret_post`), for issuers that take nothing else.
    """
    jwks: JwksSource
    """The issuer's public keys; each names its algorithm, asymmetric ones only."""
    scopes: Annotated[tuple[Annotated[str, SCOPE], ...], Items(most=32, distinct=True)] = ()
    """Asked for beside `openid`."""
    origin: Annotated[str, SITE] | None = None
    """Scheme, host and port that browsers see, where they are not the request's own; all requests are of it then."""
    redirect_path: SitePath = "/oauth2/callback"
    """Path to which the issuer sends browsers back; the policy must apply to it."""
    logout_path: SitePath = "/oauth2/logout"
    """Path that ends the session; the policy must apply to it."""
    tenant_claim: Claim = "tenant"
    """Claim that names the tenant."""
    roles_claim: Claim = "roles"
    """Claim with the list of roles."""
    permissions_claim: Claim = "permissions"
    """Claim with the list of permissions."""
    session_ttl: Annotated[str, DURATION, Within("1m", "999h")] = "8h"
    """How long a session lasts; then the issuer is asked again."""

    rules_cel = (
        Rule(
            "self.redirectPath != self.logoutPath",
            "Login and logout need two paths.",
            "logoutPath",
            lambda s: s.redirect_path != s.logout_path,
        ),
    )
