"""Connections of this process: who they are, and a way to speak to them unasked.

In: connections, of the WebSocket adapter. Out: lists; frames pushed, connections closed. Called by the adapter, and by
whoever is to reach clients.
"""

from __future__ import annotations

from collections.abc import Callable

from fastforward_websocket import Connected, Live


class LocalConnections:
    """By id."""

    def __init__(self) -> None:
        self._live: dict[str, Live] = {}

    def add(self, live: Live) -> None:
        """Remembers one."""
        self._live[live.about.id] = live

    def remove(self, id_: str) -> None:
        """Forgets it."""
        self._live.pop(id_, None)

    def list(self, tenant: str | None = None) -> tuple[Connected, ...]:
        """Returns all, or those of a tenant, the oldest first."""
        return tuple(each.about for each in self._live.values() if tenant is None or each.about.tenant == tenant)

    def push(self, frame: str, *, id_: str | None = None, tenant: str | None = None) -> int:
        """Sends a frame to one, to a tenant's, or to all; returns to how many. Nobody waits for a slow client."""
        return sum(each.push(frame) for each in self._chosen(id_, tenant))

    def close(self, code: int, reason: str, *, id_: str | None = None, tenant: str | None = None) -> int:
        """Ends one, a tenant's, or all; returns how many."""
        chosen = self._chosen(id_, tenant)
        for each in chosen:
            each.close(code, reason)
        return len(chosen)

    def _chosen(self, id_: str | None, tenant: str | None) -> tuple[Live, ...]:
        fits: Callable[[Connected], bool] = lambda about: (  # noqa: E731
            (id_ is None or about.id == id_) and (tenant is None or about.tenant == tenant)
        )
        return tuple(each for each in self._live.values() if fits(each.about))
