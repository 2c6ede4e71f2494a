"""Sessions: a client goes on with the endpoint that it began with, as long as that one is there.

In: what an Upstream says. Out: `SessionAffinity`. Called by upstream.
"""

from __future__ import annotations

from typing import Annotated, Literal

from .durations import Within
from .formats import COOKIE, COOKIE_PATH, DURATION, HeaderName
from .meta import Model, Rule, count_set


class SessionCookie(Model):
    """A cookie that the gateway sets: HttpOnly, and Secure where the request came by TLS."""

    name: Annotated[str, COOKIE]
    """Name of the cookie."""
    path: Annotated[str, COOKIE_PATH] = "/"
    """Paths that browsers send it with: this one and all below."""
    max_age: Annotated[str, DURATION, Within("1s", "999h")] | None = None
    """How long browsers keep it after the last answer; until they end, when absent."""
    same_site: Literal["Strict", "Lax", "None"] = "Lax"
    """Whether browsers send it with requests from pages of other sites; `None` needs TLS."""


class SessionAffinity(Model):
    """How a client says which endpoint it began with: what it sends tells no address."""

    cookie: SessionCookie | None = None
    """By a cookie."""
    header: HeaderName | None = None
    """By a header of answers, which the client sends again with its next request."""

    rules_cel = (
        Rule(
            "has(self.cookie) != has(self.header)",
            "A session is told by a cookie or by a header.",
            "",
            lambda s: count_set(s.cookie, s.header) == 1,
        ),
        Rule(
            "!has(self.header) || (self.header.matches('^[xX]-') && "
            "!self.header.matches('^[xX]-([fF][fF]|[eE][nN][vV][oO][yY])-'))",
            "A header of sessions begins with x-, but not with x-ff- or x-envoy-, which are the gateway's own.",
            "header",
            lambda s: s.header is None or _is_free(s.header.lower()),
        ),
    )


def _is_free(header: str) -> bool:
    return header.startswith("x-") and not header.startswith(("x-ff-", "x-envoy-"))
