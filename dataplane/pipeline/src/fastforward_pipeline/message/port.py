"""What adapters are given: a way for messages, and one for what happens. Implemented by EntryPoint, in the same process
or over gRPC.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from fastforward.message.v1 import envelope_pb2

from .passage import Answered, Failed


class Exchange(Protocol):
    """Whatever takes messages through the stages."""

    async def exchange(self, envelope: envelope_pb2.Envelope) -> Answered | Failed:
        """Returns the reply, or why there is none. Never raises for what is in the message."""
        ...

    async def listen(self, envelope: envelope_pb2.Envelope) -> AsyncIterator[envelope_pb2.Envelope] | Failed:
        """Judges the message like any other, but sends it to nobody: returns the events of its type, as they come.

        Only those of the message's tenant. The iterator ends when the caller stops it, when it is too slow for them, or
        when the caller may not listen any more: `why_ended` says so.
        """
        ...


def why_ended(events: AsyncIterator[envelope_pb2.Envelope]) -> Failed | None:
    """Returns why events have ended, if because their listener may not hear them any more."""
    refused = getattr(events, "refused", None)
    return refused if isinstance(refused, Failed) else None
