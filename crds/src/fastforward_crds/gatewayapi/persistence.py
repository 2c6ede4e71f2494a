"""Session persistence of rules (GEP-1619): a client goes on with the endpoint that it began with.

In: part of a rule of an HTTPRoute or GRPCRoute. Out: `SessionPersistence`. Called by httproute and grpcroute.
"""

from __future__ import annotations

from typing import Literal

from fastforward_crds.meta import Foreign, ShortText

from .reference import Period


class CookieConfig(Foreign):
    """How long browsers keep the cookie."""

    lifetime_type: Literal["Session", "Permanent"] = "Session"


class SessionPersistence(Foreign):
    """How a client says which endpoint it began with, and for how long."""

    session_name: ShortText = ""
    type: Literal["Cookie", "Header"] = "Cookie"
    absolute_timeout: Period | None = None
    idle_timeout: Period | None = None
    cookie_config: CookieConfig | None = None
