"""What tools that know no kind of ours read in a status: is it done, on its way, or stuck (kstatus).

In: an ObjectStatus. Out: one condition more, or none for what is done. Called by payload. Such tools, Helm and Flux
among them, go by `observedGeneration` and by two conditions that are there only while they hold: `Reconciling` and
`Stalled` (kubernetes-sigs/cli-utils, pkg/kstatus). Stuck is what only its author can mend: what admission refuses,
and what a proxy refused.
"""

from __future__ import annotations

import dataclasses

from fastforward_compiler.problem import Reason, is_refused

from fastforward_operator.objectstatus import Condition, ObjectStatus

RECONCILING = "Reconciling"
STALLED = "Stalled"
_REFUSED_BY_PROXIES = "Rejected"


def summary(status: ObjectStatus) -> tuple[Condition, ...]:
    """Returns the condition, with the words of the one that says why."""
    # A policy may be there before what it protects, and has nothing to do until then.
    lacking = [each for each in status.conditions if each.status != "True" and each.reason != Reason.TARGET_NOT_FOUND]
    if not lacking:
        return ()
    refused = any(map(is_refused, status.problems))
    rejected = next((each for each in lacking if each.reason == _REFUSED_BY_PROXIES), None)
    why = rejected if rejected is not None and not refused else lacking[0]
    return (dataclasses.replace(why, type=STALLED if refused or rejected else RECONCILING, status="True"),)
