"""EventHook: who is told, by a signed webhook, of what has been handled.

In: an EventHook document. Out: `EventHook`. Called by parse and by the compiler's translate/eventhook.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .durations import Within, milliseconds
from .formats import DURATION, MESSAGE, ExactHost, PathText
from .lists import Items
from .meta import Model, Ref, Resource, Rule

Event = Annotated[str, MESSAGE]
Wait = Annotated[str, DURATION, Within("10ms", "24h")]


class HookTls(Model):
    """TLS to the receiver; its certificate is one of an authority that the decision service's system trusts."""

    server_name: ExactHost | None = None
    """Name that the certificate has; the Upstream's DNS name when absent."""


class HookRetry(Model):
    """Further tries. Before each there is a pause, drawn evenly from zero to a bound that doubles each time."""

    tries: Annotated[int, Field(ge=1, le=30)] = 20
    """Tries in all; an event for which they are used up is a dead letter."""
    first_wait: Wait = "1s"
    """Bound of the first pause."""
    longest_wait: Wait = "1h"
    """What the bound grows to."""

    rules_cel = (
        Rule(
            "duration(self.firstWait) <= duration(self.longestWait)",
            "The first pause is not longer than the longest.",
            "firstWait",
            lambda s: milliseconds(s.first_wait) <= milliseconds(s.longest_wait),
        ),
    )


class DeadLetters(Model):
    """Events that could not be delivered."""

    kept: Annotated[int, Field(ge=0, le=10_000)] = 100
    """How many are kept, where events are kept in PostgreSQL; the oldest go first."""


class EventHookSpec(Model):
    """What an EventHook says."""

    events: Annotated[tuple[Event, ...], Items(least=1, most=64, distinct=True)]
    """Types of events, as rules of this namespace's Routes tell them."""
    upstream: Ref
    """Upstream with the protocol HTTP1 that takes the webhooks."""
    path: PathText = "/"
    """Where they are posted to, with the query if there is one."""
    secret: Ref
    """Secret of type gateway.fastforward.dev/webhook-keys: up to 4 keys, of which each signs every webhook."""
    tls: HookTls | None = None
    """TLS to the receiver; without it, webhooks go in clear text."""
    timeout: Annotated[str, DURATION, Within("10ms", "30s")] = "5s"
    """Bound on one try."""
    retry: HookRetry = HookRetry()
    """When it is tried again."""
    dead_letters: DeadLetters = DeadLetters()
    """What becomes of events that can't be delivered."""


class EventHook(Resource):
    """Who is told of what has been handled, by a signed webhook."""

    kind: Literal["EventHook"] = "EventHook"
    spec: EventHookSpec
