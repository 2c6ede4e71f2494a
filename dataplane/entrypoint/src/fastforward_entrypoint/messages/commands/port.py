"""The port through which commands leave, and what it is where RabbitMQ is not configured.

Called by exchange. Implemented by `rabbitmq`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import structlog
from fastforward_pipeline.reason import Reason
from fastforward_shield import Hop

from fastforward.message.v1 import dispatch_pb2, envelope_pb2

log = structlog.get_logger(__name__)


class NotTakenError(Exception):
    """Nobody has the command, nor will have."""

    def __init__(self, reason: Reason, why: str) -> None:
        super().__init__(why)
        self.reason = reason


class UncertainError(Exception):
    """The command may have been taken: nobody has said so in time."""


class Commands(Protocol):
    """Whoever takes commands."""

    async def send(
        self, destination: str, envelope: envelope_pb2.Envelope, *, deadline: float, wait_until: float
    ) -> dispatch_pb2.HandleResponse | None:
        """Returns when the command is taken for good: what became of it if that is known in time, else None.

        `destination` is NAMESPACE/TYPE. `deadline`: the loop's time until which it must be taken; `wait_until`: until
        which the result is waited for, which does not bound when the command is handled. Raises NotTakenError, HopError
        when nothing was sent, and UncertainError.
        """
        ...


class RunningCommands(Commands, Protocol):
    """With a life of its own."""

    def __iter__(self) -> Iterator[Hop]:
        """Yields the hops in use."""
        ...

    async def run(self) -> None:
        """What it does beside, until cancelled."""
        ...


class NoCommands:
    """Takes none: there is no RabbitMQ."""

    async def send(
        self, destination: str, envelope: envelope_pb2.Envelope, *, deadline: float, wait_until: float
    ) -> dispatch_pb2.HandleResponse | None:
        """See the port."""
        del envelope, deadline, wait_until
        log.error("a command can't be sent: FF_ENTRYPOINT_RABBITMQ_URL is not set", destination=destination)
        raise NotTakenError(Reason.COMMANDS_UNAVAILABLE, "there is no RabbitMQ")

    def __iter__(self) -> Iterator[Hop]:
        """There are no hops."""
        return iter(())

    async def run(self) -> None:
        """There is nothing to do beside."""
