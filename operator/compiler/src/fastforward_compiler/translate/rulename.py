"""What rules are called: policies aim at them by these names, and statuses, logs and entries tell them.

In: the names that the rules of a route give themselves. Out: a name for each. Called by the kinds of routes.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def rule_names(given: Sequence[str | None]) -> tuple[str, ...]:
    """The rules' names; those without one are called by position, `rule-0`, and never as another rule is."""
    names = []
    for place, own in enumerate(given):
        if own is not None:
            names.append(own)
            continue
        name = sys.intern(f"rule-{place}")
        while name in given:
            name += "-unnamed"
        names.append(name)
    return tuple(names)
