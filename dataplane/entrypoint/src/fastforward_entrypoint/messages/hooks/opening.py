"""Webhooks as the settings have them.

In: settings. Out: Hooks. Called by bootstrap. The clients cost a good part of a start: only whoever uses one pays for
it.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

from collections.abc import Callable

from fastforward_kit.telemetry import Tally
from prometheus_client import CollectorRegistry

from fastforward_entrypoint.endpoint import Current
from fastforward_entrypoint.settings import Settings

from .port import Outbox
from .telling import Hooks, RunningSender


def open_hooks(settings: Settings, snapshots: Current, registry: CollectorRegistry) -> Hooks:
    """Returns them; nothing is opened before they run. Raises OSError."""
    tally = Tally("ff_hook_events", "Events for webhooks, by what became of a try.", ("hook", "outcome"))
    registry.register(tally)

    def open_outbox(dropped: Callable[[str, int], None]) -> Outbox | None:
        if settings.postgresql_url is None:
            return None
        from fastforward_entrypoint.messages.database import open_pool

        from .postgresql import PostgresqlOutbox

        return PostgresqlOutbox(open_pool(settings), deadline=settings.postgresql_deadline_seconds, dropped=dropped)

    return Hooks(snapshots, _open_sender, tally, open_outbox)


def _open_sender() -> RunningSender:
    from .sending import WebhookSender

    return WebhookSender()
