"""What guards a rule: the AuthPolicies and RateLimits aimed at its Edge or Gateway and at its route, taken together.

In: what the indexes say is aimed where. Out: Protection, and what it means for an entry. Called by route for each rule
on each Edge, by gatewayapi/spread for each rule at each listener, and by table for gates.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells

from . import authpolicy, ratelimit
from .combination import TRAITS, Traits, effective_policies, join
from .placement import Needs
from .world import AIMED_AT


class Aims(NamedTuple):
    """What is aimed at one object."""

    policies: tuple[authpolicy.Attached, ...]
    limits: tuple[ratelimit.Attached, ...]

    def at(self, section: str) -> Aims:
        """The part that is aimed at one rule or listener; of "", only what is aimed at all."""
        if self is NO_AIMS:
            return self
        return Aims(
            tuple(policy for policy in self.policies if policy.sections is None or section in policy.sections),
            tuple(limit for limit in self.limits if limit.sections is None or section in limit.sections),
        )


class Protection(NamedTuple):
    """What guards one rule on one Edge or at one listener. `auth` is empty for none, and when `traits.broken`."""

    auth: str
    traits: Traits
    limits: tuple[ratelimit.Attached, ...]
    policies: tuple[str, ...]
    """AuthPolicies in force, in order of attachment."""
    late: tuple[str, ...] = ()
    """AuthPolicies that authenticate on a tenant's rule, where it is too late."""

    @property
    def effective(self) -> Iterator[str]:
        """What is in force, as statuses say it."""
        yield from (f"AuthPolicy {name}" for name in self.policies)
        yield from (f"RateLimit {limit.name}" for limit in self.limits)

    @property
    def closed_by(self) -> tuple[str, ...]:
        """AuthPolicies of which one is broken, so that the rule answers 500."""
        return self.policies if self.traits.broken else ()

    def fields(self) -> dict[str, Any]:
        """What it comes to in `ir.Entry`: closed, where a policy is broken."""
        made: dict[str, Any] = {"auth": self.auth, "limits": tuple(limit.name for limit in self.limits)}
        if self.traits.broken:
            made["destination"] = ir.Unavailable(reason=f"{self.traits.broken}.")
        return made

    def needs(self, destination: ir.Destination) -> Needs:
        """What it asks of the places where stages run."""
        exact = [limit for limit in self.limits if limit.exact]
        message = isinstance(destination, ir.MessageDispatch)
        return Needs(
            auth=self.auth,
            authenticates=bool(self.auth) and self.traits.authenticates,
            authorizes=bool(self.auth) and self.traits.authorizes,
            beyond_proxy=self.traits.beyond_proxy if self.auth else "",
            auth_open=self.traits.fail_open,
            native_limits=tuple(limit.name for limit in self.limits if not limit.exact),
            exact_limits=tuple(limit.name for limit in exact),
            ends=() if message else tuple(limit.name for limit in self.limits if limit.needs_ends),
            limits_open=all(limit.fail_open for limit in exact),
            shards=isinstance(destination, ir.ShardDispatch),
            message=message,
            proxied=isinstance(destination, ir.Split | ir.ShardDispatch),
            sessions=bool(ir.sessions_of(destination)),
            near=destination.near if isinstance(destination, ir.Split) else (),
            adapter=destination.protocol if isinstance(destination, ir.AdapterDispatch) else "",
        )


NO_AIMS = Aims((), ())
UNPROTECTED = Protection(
    "", Traits("", authenticates=False, authorizes=False, beyond_proxy="", fail_open=False), (), ()
)


def read_aims(cells: Cells, kind: str, name: str) -> Aims:
    """What is aimed at an object, whatever rule or listener."""
    if not cells.read(AIMED_AT, kind, name):
        return NO_AIMS
    return Aims(cells.read(authpolicy.ATTACHED_POLICIES, kind, name), cells.read(ratelimit.ATTACHED_LIMITS, kind, name))


def protect(cells: Cells, edge: Aims, own: Aims, *, tenant: bool) -> Protection:
    """What guards a rule with `own` aimed at it, on an Edge or at a listener, in everybody's table or a tenant's."""
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
