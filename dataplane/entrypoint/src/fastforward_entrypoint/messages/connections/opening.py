"""Which registry of connections there is: that of all workers and replicas where they have Redis, else of this process.

In: settings, and whoever listens to events. Out: the registry. Called by bootstrap.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from fastforward_entrypoint.messages.events import Events
from fastforward_entrypoint.settings import Settings

from .in_process import LocalConnections
from .port import Registry

DEADLINE_S = 1.0
"""Of each step with Redis; no request waits for it."""


class RunningRegistry(Registry, Protocol):
    """A registry with a life of its own."""

    @property
    def errors(self) -> Mapping[str, int]:
        """How often others could not be reached, by kind."""
        ...

    async def run(self) -> None:
        """What it does beside, until cancelled."""
        ...

    async def end(self) -> None:
        """Lets go of what it holds."""
        ...


def open_connections(settings: Settings, events: Events) -> RunningRegistry:
    """Returns the registry; nothing is opened before it runs. Raises OSError."""
    local = LocalConnections()
    if settings.redis_url is None:
        return local
    # The client costs a good part of a start: only whoever uses it pays for it.
    from fastforward_entrypoint.messages.once.redis import open_client  # noqa: PLC0415

    from .redis import RedisConnections  # noqa: PLC0415

    return RedisConnections(local, events, open_client(settings, deadline=DEADLINE_S))
