"""A login at an OpenID Connect issuer: what judges it; and apart from that what is secret, and where codes go.

Made by translate/oidc; read by emit.
"""

from __future__ import annotations

from dataclasses import dataclass

from .upstream import Dns, Endpoint, UpstreamTls


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcLogin:
    """By login with a browser; the OidcClient has the provider's name."""

    issuer: str
    client_id: str
    keyset: str
    tenant_claim: str
    roles_claim: str
    permissions_claim: str
    authorization_url: str
    end_session_url: str
    scope: str
    """Joined by blanks, `openid` first."""
    origin: str
    """Scheme, host and port that browsers see; empty for the request's own."""
    redirect_path: str
    logout_path: str
    session_s: int

    def proves_as(self, other: OidcLogin) -> bool:
        """Whether the other believes the same issuer's word, for the same client, and reads the same in it."""
        return self._proof == other._proof

    @property
    def _proof(self) -> tuple[str, ...]:
        claims = self.tenant_claim, self.roles_claim, self.permissions_claim
        return self.issuer, self.client_id, self.keyset, *claims


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcClient:
    """What a provider is to its issuer, and where codes become tokens."""

    name: str
    """The provider's."""
    client_id: str
    secret: bytes
    token_url: str
    in_form: bool = False
    """Whether the secret is sent in the form, not in a header."""
    endpoints: tuple[Endpoint, ...] = ()
    dns: Dns | None = None
    tls: UpstreamTls | None = None
    """What the endpoints' certificate must prove; None for clear text."""
