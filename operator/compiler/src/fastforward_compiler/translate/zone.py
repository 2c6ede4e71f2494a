"""Which endpoints of a proxy's own zone are enough, and what keeps an Upstream from telling zones apart.

In: what an Upstream says, where its endpoints come from. Out: a number, Problems. Called by upstream.
"""

from __future__ import annotations

import fastforward_crds as crds

from fastforward_compiler import ir
from fastforward_compiler.problem import ObjectRef, Problem, Reason, problem


def own_zone_minimum(balancing: crds.LoadBalancing) -> int:
    """How many endpoints of its own zone a proxy keeps to; 0 where zones do not count."""
    return 0 if balancing.zone_aware is None else balancing.zone_aware.minimum_endpoints


def zone_problems(on: ObjectRef, balancing: crds.LoadBalancing, dns: ir.Dns | None) -> tuple[Problem, ...]:
    """Of endpoints behind a name nobody knows the zone."""
    if balancing.zone_aware is None or dns is None:
        return ()
    message = f"The Service stands for the name {dns.host}, whose endpoints have no zones: all of them get requests."
    return (problem(on, Reason.INVALID, "spec.loadBalancing.zoneAware", message),)
