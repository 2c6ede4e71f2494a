"""Cross-origin requests.

In: a part of a rule of a Route. Called by the models of route and by translate/rule.
"""

from __future__ import annotations

from typing import Annotated

from .durations import Duration
from .formats import ORIGIN, HeaderName
from .lists import Items
from .match import Method
from .meta import Model, Rule


class Cors(Model):
    """Cross-origin requests (Fetch standard); preflights are answered at the edge."""

    allow_origins: Annotated[
        tuple[Annotated[str, ORIGIN], ...],
        Items(least=1, most=64, distinct=True),
    ]
    """Origins, `https://shop.example.com`, `https://*.example.com`, or `*`."""
    allow_methods: Annotated[tuple[Method, ...], Items(most=9, distinct=True)] = ("GET", "HEAD", "POST")
    """Methods that a preflight grants."""
    allow_headers: Annotated[tuple[HeaderName, ...], Items(most=64, distinct=True)] = ()
    """Request headers that a preflight grants."""
    expose_headers: Annotated[tuple[HeaderName, ...], Items(most=64, distinct=True)] = ()
    """Response headers that scripts may read."""
    max_age: Duration = "10m"
    """How long a browser may keep a preflight's answer."""
    allow_credentials: bool = False
    """Whether cookies and authorization may be sent; not together with `*`."""

    rules_cel = (
        Rule(
            "!self.allowCredentials || !('*' in self.allowOrigins)",
            "Credentials can't be granted to every origin.",
            "allowCredentials",
            lambda s: not s.allow_credentials or "*" not in s.allow_origins,
        ),
    )
