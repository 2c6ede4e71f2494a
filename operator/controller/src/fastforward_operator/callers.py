"""Whom the API answers: whoever names it by an address or a host of its own, and no page of another site.

In: the head of a request. Out: a refusal as a sentence, or None. Called by api, before anything else. Why: a browser on
this machine asks loopback for any page that it shows. A name that its owner points at 127.0.0.1 (DNS rebinding) makes
such a page read what it gets; the name in `Host`, `Origin` and `Sec-Fetch-Site` give it away.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Middleware

PROBES = ("/healthz", "/readyz", "/metrics")
"""Asked by probes and scrapers, by whatever address they know."""
_OWN_SITES = ("same-origin", "none")
"""Values of `Sec-Fetch-Site` of what the user or a page of the API itself asked for (W3C Fetch Metadata)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a request says of how the API was found."""

    path: str
    hosts: tuple[str, ...]
    """Every `Host` header."""
    origin: str | None
    site: str | None
    """`Sec-Fetch-Site`."""
    bound: str
    """The address that the request came in by."""


def refusal(asked: Asked, known: Collection[str]) -> str | None:
    """Why it is not answered; `known` are further hosts that the API goes by, in lower case."""
    if len(asked.hosts) != 1 or not _is_own(asked, known):
        host = ", ".join(asked.hosts) or "none"
        return (
            f"This API does not go by the host {host[:300]}: ask it by its address or as localhost,"
            " or list the host in FF_API_HOSTS."
        )
    foreign = asked.origin is not None and asked.origin.lower().partition("://")[2] != asked.hosts[0].lower()
    if foreign or (asked.site is not None and asked.site not in _OWN_SITES):
        return "A page of another site asks for this: the API answers no such page; open its address by hand."
    return None


def _is_own(asked: Asked, known: Collection[str]) -> bool:
    host = _without_port(asked.hosts[0].lower())
    if host in known or host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or str(address) == asked.bound or asked.path in PROBES


def _without_port(host: str) -> str:
    """`[::1]:9080` -> `::1`; `a:80` -> `a`."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def only_own(known: Collection[str]) -> Middleware:
    """The check in front of every handler; 403 with the sentence as problem details (RFC 9457)."""
    lower = frozenset(host.lower() for host in known)

    @web.middleware
    async def check(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        why = refusal(_asked(request), lower)
        if why is None:
            return await handler(request)
        problem = {"type": "about:blank", "title": "Not for this caller", "status": 403, "detail": why}
        return web.json_response(problem, status=403, content_type="application/problem+json")

    return check


def _asked(request: web.Request) -> Asked:
    local = request.transport.get_extra_info("sockname") if request.transport is not None else None
    return Asked(
        path=request.path,
        hosts=tuple(request.headers.getall("host", ())),
        origin=request.headers.get("origin"),
        site=request.headers.get("sec-fetch-site"),
        bound=local[0] if isinstance(local, tuple) else "",
    )
