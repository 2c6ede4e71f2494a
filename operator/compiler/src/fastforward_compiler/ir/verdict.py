"""What is to be said of parts of an object: of a Gateway's listeners, of a route at each of its parents.

Made by translate/gatewayapi; the operator writes them into statuses as Gateway API has them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One condition. What is said of proxies the operator adds."""

    type: str
    holds: bool
    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One listener, parent or ancestor."""

    place: tuple[tuple[str, str | int], ...]
    """What the status calls it: `name` of a listener, the fields of a reference to a parent."""
    verdicts: tuple[Verdict, ...]
    kinds: tuple[str, ...] = ()
    """Of a listener: the kinds of routes that it takes."""
    attached: int = 0
    """Of a listener: how many routes there are."""
    serves: bool = True
    """Whether proxies serve it, once they have the object."""
