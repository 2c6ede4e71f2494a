"""Sessions of Gateway API (GEP-1619) to the session affinity of an Upstream.

In: `sessionPersistence` of a rule or of a policy of a Service. Out: `sessionAffinity`, or none with a note. Called by
httproute and backendtraffic. Ours ends some time after the last answer, theirs by silence or some time after the first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fastforward_compiler.translate.gatewayapi.persistence import common_path, own_mark
from fastforward_crds import milliseconds

from .draft import Document
from .reading import Field, Item

_COOKIE = re.compile("[A-Za-z0-9_-]{1,64}")
_HEADER = re.compile("[xX]-(?![fF][fF]-|[eE][nN][vV][oO][yY]-)[A-Za-z0-9-]{1,60}")
_DURATION = re.compile("([0-9]{1,5}(h|m|s|ms)){1,4}")
_LEAST_MS, _MOST_MS = 1000, 999 * 3_600_000
_LONGEST_PATH = 256
_REMEDY = "Set sessionAffinity of the Upstream by hand."


def take_persistence(found: Field, of: Item, part: str, path: str = "/") -> Document:
    """The affinity; empty where there is none. `part` of the object has it, for what is at and below `path`."""
    if not found:
        return {}
    if found.raw == {}:
        found.taken()
    own = own_mark(of.kind, of.namespace, of.name, part)
    match found["type"].text("Cookie"):
        case "Cookie":
            return {"cookie": _cookie(found, f"session-{own}", path)}
        case "Header":
            return _header(found, f"x-session-{own}")
        case kind:
            found["type"].lost(f"Sessions are not kept by {kind}: no session is kept.", _REMEDY)
            return {}


def path_of(rule: Field) -> str:
    """The path that all matches of a rule are at or below: browsers send the cookie with these."""
    found = common_path(_paths(rule))
    return found if len(found) <= _LONGEST_PATH else "/"


def _paths(rule: Field) -> Iterator[str]:
    for match in rule["matches"].each():
        path = match["path"]
        value = path["value"].raw
        yield value if isinstance(value, str) and path["type"].raw != "RegularExpression" else "/"


def _header(found: Field, own: str) -> Document:
    for part in ("absoluteTimeout", "idleTimeout"):
        found[part].lost("A header does not end by itself: the session lasts as long as it is sent.", _REMEDY)
    found["cookieConfig"].lost("It goes with the type Cookie.", "Leave it away.")
    name = found["sessionName"].text(own)
    if _HEADER.fullmatch(name) is None:
        message = "A header of sessions begins with x-, but not with x-ff- or x-envoy-: no session is kept."
        found["sessionName"].lost(message, "Choose another name, which clients send.")
        return {}
    return {"header": name.lower()}


def _cookie(found: Field, own: str, path: str) -> Document:
    name = found["sessionName"].text(own)
    if _COOKIE.fullmatch(name) is None:
        found["sessionName"].changed(f"The name of a cookie has up to 64 letters, digits, - and _: it is {own}.")
        name = own
    cookie: Document = {"name": name}
    if path != "/":
        cookie["path"] = path
    age = _age(found)
    if age:
        cookie["maxAge"] = age
    return cookie


def _age(found: Field) -> str:
    """How long after the last answer a session ends; empty for when the browser does."""
    lifetime = found["cookieConfig"]["lifetimeType"]
    if found["cookieConfig"].raw == {}:
        found["cookieConfig"].taken()
    permanent = lifetime.text("Session") == "Permanent"
    idle, absolute = (_bounded(found[part]) for part in ("idleTimeout", "absoluteTimeout"))
    if idle:
        if not permanent:
            asked = lifetime or found["idleTimeout"]
            asked.changed("The cookie lasts for idleTimeout after the last answer, also when the browser ends.")
        if absolute:
            found["absoluteTimeout"].lost("A session ends by silence alone.", "Nothing, where idleTimeout will do.")
        return idle
    if permanent and absolute:
        found["absoluteTimeout"].changed("It is counted from the last answer, not from the first one.")
        return absolute
    if absolute:
        message = "Browsers end sessions in time by cookies of lifetimeType Permanent alone."
        found["absoluteTimeout"].lost(message, "Set that, or maxAge of the Upstream's cookie.")
    if permanent:
        lifetime.lost("Without a time the cookie lasts until the browser ends.", "Set absoluteTimeout.")
    return ""


def _bounded(found: Field) -> str:
    text = found.text()
    if not text:
        return ""
    length = milliseconds(text) if _DURATION.fullmatch(text) is not None else 0
    if _LEAST_MS <= length <= _MOST_MS:
        return text
    found.lost("A cookie lasts for a second at least, and for 999 hours at most.", "Choose such a time.")
    return ""
