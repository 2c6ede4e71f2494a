"""Forged requests: which pages may make a browser send requests that change something.

In: what a rule says. Out: `Csrf`. Called by route.
"""

from __future__ import annotations

from typing import Annotated

from .formats import Host
from .lists import Items
from .meta import Model


class Csrf(Model):
    """POST, PUT, PATCH and DELETE are refused (403) unless `Origin`, or where it is missing `Referer`, is a page of the
    request's own host or of one of `hosts`. Scheme and port are not looked at.

    For rules whose callers are known by what browsers send by themselves: cookies, passwords, client certificates.
    Callers that are no browsers send the host as `Origin`.
    """

    hosts: Annotated[tuple[Host, ...], Items(most=64, distinct=True)] = ()
    """Other hosts whose pages may, `*.example.com` for all below one. On a host that the Edge writes with `*`, its own
    pages on a port other than that of their scheme need to be here as well.
    """
    shadow: bool = False
    """Judge and count (`csrf.request_invalid`), but let everything pass."""
