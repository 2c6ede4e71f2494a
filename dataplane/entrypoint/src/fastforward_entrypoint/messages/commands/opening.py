"""By what commands leave.

In: settings. Out: RabbitMQ, or what says that there is none. Called by bootstrap. The client costs a good part of a
start: only whoever uses it pays for it.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

from fastforward_entrypoint.settings import Settings

from .port import NoCommands, RunningCommands


def open_commands(settings: Settings) -> RunningCommands:
    """Returns it; nothing is opened before it runs."""
    if settings.rabbitmq_url is None:
        return NoCommands()
    from fastforward_kit.commands import Broker

    from .rabbitmq import RabbitCommands, make_policy

    broker = Broker(
        url=settings.rabbitmq_url,
        username=settings.rabbitmq_username,
        password_file=settings.rabbitmq_password_file,
    )
    return RabbitCommands(broker, make_policy(settings.rabbitmq_deadline_seconds))
