"""Services that are asked whether requests may pass, of Traefik's forwardAuth and of nginx's auth-url.

In: a URL, and names of headers. Out: Wishes, notes on the fields. Called by middleware and nginx. A service that can't
be asked closes the rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import fastforward_crds as crds
from pydantic import ValidationError

from .draft import Document
from .reading import Field
from .wishes import Asks, Wishes

_SENT = ("authorization", "cookie")
_REFUSALS = (
    "It is asked with the request's method; of its answers 401, 403 and 429 go to clients with their text, others "
    "refuse with 403: nobody is sent to a login."
)


def unsaid(part: str) -> str:
    """The remedy where an AuthPolicy has to say more."""
    return f"Say it in {part} of the AuthPolicy's authorization, or have the service do it."


@dataclass(frozen=True, slots=True)
class Headers:
    """Names of headers."""

    sent: Sequence[str] = ()
    """To the service."""
    answered: Sequence[tuple[str, Field]] = ()
    """Of its answers, which go on to the upstream, and what says so."""


def take_service(wishes: Wishes, url: Field, name: str, headers: Headers) -> None:
    """Has the rule ask the service."""
    if wishes.asks is not None:
        wishes.close(url, "Two services would be asked.", "Write an AuthPolicy that asks the one that is left.")
        return
    try:
        parts = urlsplit(url.text())
        host, port = parts.hostname, parts.port or 80
    except ValueError:
        parts, host, port = urlsplit(""), None, 80
    if host is None or parts.scheme != "http" or parts.query or "$" in url.text():
        what = "Only a service at a fixed http:// URL without a query can be asked."
        wishes.close(url, what, "Write an AuthPolicy with authorization.external, and an Upstream for it.")
        return
    said: Document = {"path": parts.path or "/", "appendPath": False, "requestHeaders": list(headers.sent or _SENT)}
    told = []
    for header, place in headers.answered:
        if _is_free(header):
            told.append(header)
        else:
            place.lost(f"{header} belongs to the gateway, so it goes nowhere.", unsaid("answerHeaders"))
    if told:
        said["answerHeaders"] = told
    if not _is_understood(said):
        wishes.close(url, "Some of what the service is asked with can't be said.", "Write an AuthPolicy by hand.")
        return
    url.changed(_REFUSALS)
    wishes.asks = Asks(name=name, host=host, port=port, said=said)


def _is_free(header: str) -> bool:
    return _is_understood({"answerHeaders": [header]})


def _is_understood(said: Document) -> bool:
    try:
        crds.External.model_validate({"upstream": {"name": "x"}, **said}, by_alias=True, by_name=False)
    except ValidationError:
        return False
    return True
