"""Where an issuer's public keys are, and how its claims are called.

Part of an AuthPolicy document. Called by authpolicy and oidc, and by the compiler's translate/authpolicy.
"""

from __future__ import annotations

from typing import Annotated

from .durations import Duration, Within
from .formats import CLAIM, DURATION, IDENTIFIER, URL
from .meta import KeyRef, Model, Rule, count_set

Claim = Annotated[str, CLAIM]
Identifier = Annotated[str, IDENTIFIER]


class JwksSource(Model):
    """Where the issuer's public keys are (RFC 7517)."""

    secret: KeyRef | None = None
    """A Secret's key."""
    config_map: KeyRef | None = None
    """A ConfigMap's key."""
    url: Annotated[str, URL] | None = None
    """A URL; the operator fetches it, keeps the last good answer, and hands the keys to the proxies."""
    refresh: Annotated[str, DURATION, Within("1s", "999h")] = "5m"
    """How often the URL is fetched again."""
    max_stale: Duration = "24h"
    """How long the last good answer is believed when the URL does not answer."""

    rules_cel = (
        Rule(
            "[has(self.secret), has(self.configMap), has(self.url)].filter(x, x).size() == 1",
            "Exactly one source of keys.",
            "",
            lambda s: count_set(s.secret, s.config_map, s.url) == 1,
        ),
    )
