"""What a rule does to its requests besides serving them: copies for another Upstream, and faults put in on purpose.

Parts of a Route document. Called by route and by the compiler's translate/disturbance.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from .durations import Period
from .lists import Items
from .match import TextMatch
from .meta import Model, Ref, Rule

Percent = Annotated[int, Field(ge=1, le=100)]


class MirrorTo(Ref):
    """An Upstream that gets copies, and whose answers nobody sees."""

    percent: Percent = 100
    """Share of the requests that are copied."""


class FaultDelay(Model):
    """Requests that are made to wait."""

    duration: Period
    """How long."""
    percent: Percent = 100
    """Share of the requests that wait."""


class FaultAbort(Model):
    """Requests that are answered by the edge, and never reach the destination."""

    status: Annotated[int, Field(ge=400, le=599)] = 503
    """Status code of the answer."""
    percent: Percent = 100
    """Share of the requests that are answered so."""


class Fault(Model):
    """Faults put in on purpose, to see what callers make of them."""

    delay: FaultDelay | None = None
    """Requests that wait first."""
    abort: FaultAbort | None = None
    """Requests that fail, after they have waited."""
    headers: Annotated[tuple[TextMatch, ...], Items(most=16, key="name")] = ()
    """Only requests that meet all of these are disturbed."""

    rules_cel = (
        Rule(
            "has(self.delay) || has(self.abort)",
            "A fault is a delay, an abort, or both.",
            "",
            lambda s: s.delay is not None or s.abort is not None,
        ),
    )
