"""TLS towards the endpoints of an Upstream.

Part of an Upstream document. Called by upstream and by the compiler's translate/backendtls.
"""

from __future__ import annotations

from typing import Annotated, Literal

from .formats import PIN, ExactHost
from .lists import Items
from .meta import Model, Ref


class AuthoritiesRef(Ref):
    """A ConfigMap or Secret with certificates of authorities, in PEM under `ca.crt`."""

    kind: Literal["ConfigMap", "Secret"] = "ConfigMap"
    """Which of the two."""


class UpstreamTls(Model):
    """TLS, and what the endpoints must prove by their certificates (RFC 6125)."""

    server_name: ExactHost
    """What the endpoints are asked for (SNI), and the name that their certificates have."""
    names: Annotated[tuple[ExactHost, ...], Items(most=16, distinct=True)] = ()
    """DNS names of which the certificate has one, in place of `serverName`."""
    authorities: Annotated[tuple[AuthoritiesRef, ...], Items(most=4)] = ()
    """Who may have signed it; those of the proxy's system when empty."""
    pins: Annotated[tuple[Annotated[str, PIN], ...], Items(most=8, distinct=True)] = ()
    """Digests of public keys of which the certificate has one; besides what `authorities` say."""
    certificate: Ref | None = None
    """Secret of type kubernetes.io/tls: what the proxy shows of itself."""
