"""What guards a rule: the AuthPolicies and RateLimits aimed at its Edge and its Route, taken together.

In: what the indexes say is aimed where. Out: Protection. Called by route for each rule on each Edge, and by table for
gates.
"""

from __future__ import annotations

from typing import NamedTuple

from fastforward_compiler.cells import Cells

from . import authpolicy, ratelimit
from .combination import TRAITS, Traits, effective_policies, join
from .world import AIMED_AT


class Aims(NamedTuple):
    """What is aimed at one Edge or Route."""

    policies: tuple[authpolicy.Attached, ...]
    limits: tuple[ratelimit.Attached, ...]

    def at(self, rule: str) -> Aims:
        """The part that is aimed at one rule."""
        return Aims(
            tuple(policy for policy in self.policies if policy.rules is None or rule in policy.rules),
            tuple(limit for limit in self.limits if limit.rules is None or rule in limit.rules),
        )


class Protection(NamedTuple):
    """What guards one rule on one Edge. `auth` is empty for none, and when `traits.broken`."""

    auth: str
    traits: Traits
    limits: tuple[ratelimit.Attached, ...]
    policies: tuple[str, ...]
    """AuthPolicies in force, in order of attachment."""
    late: tuple[str, ...] = ()
    """AuthPolicies that authenticate on a tenant's rule, where it is too late."""


NO_AIMS = Aims((), ())
UNPROTECTED = Protection(
    "", Traits("", authenticates=False, authorizes=False, beyond_proxy="", fail_open=False), (), ()
)


def read_aims(cells: Cells, kind: str, name: str) -> Aims:
    """What is aimed at an object, whatever rule."""
    if not cells.read(AIMED_AT, kind, name):
        return NO_AIMS
    return Aims(cells.read(authpolicy.ATTACHED_POLICIES, kind, name), cells.read(ratelimit.ATTACHED_LIMITS, kind, name))


def protect(cells: Cells, edge: Aims, own: Aims, *, tenant: bool) -> Protection:
    """What guards a rule with `own` aimed at it, on an Edge, in everybody's table or a tenant's."""
    if edge is NO_AIMS and own is NO_AIMS:
        return UNPROTECTED
    policies = effective_policies(edge.policies, own.policies)
    name = join(policies)
    # The caller is authenticated before its tenant's table is known: there it would be too late.
    late = tuple(policy.name for policy in own.policies if policy.authenticates) if tenant else ()
    if late:
        traits = UNPROTECTED.traits._replace(broken=f"AuthPolicy {late[0]} authenticates on a tenant's rule")
    else:
        traits = cells.read(TRAITS, name) if name else UNPROTECTED.traits
    limits = {limit.name: limit for limit in (*edge.limits, *own.limits)}
    return Protection("" if traits.broken else name, traits, tuple(limits.values()), policies, late)
