"""Session persistence of a rule to `ir.Session` (GEP-1619).

In: what the rule says, the paths that it matches. Out: its IR value, or a Problem: what can't be kept is not kept, and
the rule serves without. Called by httproute and grpcroute; the import names sessions as they are named here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2b

import fastforward_crds as crds
from fastforward_crds import gatewayapi

from fastforward_compiler import ir
from fastforward_compiler.problem import Reason, problem

from .rule import Step

_COOKIE = re.compile("[A-Za-z0-9_-]{1,64}")
_SEGMENT = re.compile("[A-Za-z0-9._~-]+")
"""What a path of a cookie may have."""
_HEADER = re.compile("[xX]-(?![fF][fF]-|[eE][nN][vV][oO][yY]-)[A-Za-z0-9-]{1,60}")
_SECOND_MS = 1000


def translate_persistence(
    step: Step, rule: str, said: gatewayapi.SessionPersistence | None, paths: Iterable[str] = ()
) -> ir.Session | None:
    """The session of the rule of that name; browsers send its cookie with what is at or below all of the paths."""
    if said is None:
        return None
    fault = _fault_of(said)
    if fault is not None:
        field, message = fault
        field = f"{step.field}.sessionPersistence.{field}"
        step.problems.append(problem(step.on, Reason.UNSUPPORTED_VALUE, field, f"{message} No session is kept."))
        return None
    own = own_mark(step.on.kind, step.on.namespace, step.on.name, rule)
    if said.type == "Header":
        return ir.Session(header=(said.session_name or f"x-session-{own}").lower())
    timeout = said.absolute_timeout
    return ir.Session(
        cookie=said.session_name or f"session-{own}",
        path=common_path(paths),
        max_age_s=None if timeout is None else crds.milliseconds(timeout) // _SECOND_MS,
        renewed=False,
        same_site="Lax",
    )


def own_mark(kind: str, namespace: str, name: str, rule: str) -> str:
    """What tells the sessions of a rule without a name for them from those of others, on whichever host."""
    return blake2b(f"{kind}/{namespace}/{name}#{rule}".encode(), digest_size=6).hexdigest()


def _fault_of(said: gatewayapi.SessionPersistence) -> tuple[str, str] | None:
    """The field that asks for what can't be done, and why."""
    name, timeout = said.session_name, said.absolute_timeout
    permanent = said.cookie_config is not None and said.cookie_config.lifetime_type == "Permanent"
    if said.idle_timeout is not None:
        return "idleTimeout", "Nobody remembers when a client asked last."
    if said.type == "Header":
        return _fault_of_header(said)
    if name and _COOKIE.fullmatch(name) is None:
        return "sessionName", "The name of a cookie has up to 64 letters, digits, - and _."
    if permanent and (timeout is None or crds.milliseconds(timeout) < _SECOND_MS):
        return "absoluteTimeout", "A cookie of lifetimeType Permanent needs one of a second or longer."
    if timeout is not None and not permanent:
        return "absoluteTimeout", "Browsers end sessions in time by cookies of lifetimeType Permanent alone."
    return None


def _fault_of_header(said: gatewayapi.SessionPersistence) -> tuple[str, str] | None:
    if said.session_name and _HEADER.fullmatch(said.session_name) is None:
        message = "A header of sessions begins with x-, but not with x-ff- or x-envoy-, and has up to 62 characters."
        return "sessionName", message
    if said.absolute_timeout is not None:
        return "absoluteTimeout", "A header does not end by itself."
    if said.cookie_config is not None:
        return "cookieConfig", "It goes with the type Cookie."
    return None


def common_path(paths: Iterable[str]) -> str:
    """The longest path, by segments, that all of them are at or below; `/` of none.

    It ends before what a cookie can't say.
    """
    listed = [[part for part in path.split("/") if part] for path in paths]
    common: list[str] = []
    for parts in zip(*listed, strict=False):
        if len(set(parts)) > 1 or _SEGMENT.fullmatch(parts[0]) is None:
            break
        common.append(parts[0])
    return "/" + "/".join(common)
