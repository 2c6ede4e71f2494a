"""SessionAffinity to `ir.Session`, and what keeps an Upstream from having any.

In: what an Upstream says, where its endpoints come from. Out: ir.Session, Problems. Called by upstream.
"""

from __future__ import annotations

import fastforward_crds as crds

from fastforward_compiler import ir
from fastforward_compiler.problem import ObjectRef, Problem, Reason, problem


def translate_session(affinity: crds.SessionAffinity | None) -> ir.Session | None:
    """How clients stay with an endpoint."""
    if affinity is None:
        return None
    cookie = affinity.cookie
    if cookie is None:
        return ir.Session(header=(affinity.header or "").lower())
    return ir.Session(
        cookie=cookie.name,
        path=cookie.path,
        max_age_s=None if cookie.max_age is None else crds.milliseconds(cookie.max_age) // 1000,
        same_site=cookie.same_site,
    )


def session_problems(
    on: ObjectRef, affinity: crds.SessionAffinity | None, dns: ir.Dns | None, *, kept: bool
) -> tuple[Problem, ...]:
    """Endpoints behind a name can't be told apart, whether the Upstream or a rule (`kept`) wants it."""
    if dns is None or not (kept or affinity is not None):
        return ()
    message = f"The Service stands for the name {dns.host}, whose endpoints are not told apart: no session is kept."
    field = "spec.service" if affinity is None else "spec.sessionAffinity"
    return (problem(on, Reason.INVALID, field, message),)
