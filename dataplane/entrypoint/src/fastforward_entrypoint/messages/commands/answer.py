"""What becomes of a command, in the words of messages.

In: an Envelope, and how long its caller waits. Out: the reply or the error of whoever has handled it, that it was
taken, or why it was not. Called by exchange.
"""

from __future__ import annotations

import asyncio

from fastforward_pipeline.message import Failed, make_acceptance, make_error, preferred_wait_s
from fastforward_pipeline.reason import Reason
from fastforward_shield import HopError

from fastforward.message.v1 import envelope_pb2
from fastforward_entrypoint.messages.answer import response_of, unanswered
from fastforward_entrypoint.messages.identifier import make_message_id
from fastforward_entrypoint.messages.once import Fate

from .port import Commands, NotTakenError, UncertainError

_ANSWERING_S = 0.5
"""Before nobody waits any more, in which the answer that a command was taken still finds its way."""


async def send_command(
    commands: Commands, envelope: envelope_pb2.Envelope, deadline: float, fate: Fate
) -> envelope_pb2.Envelope | Failed:
    """Returns the result, if the caller waits for it and it is known in time; else that the command was taken.

    `deadline` is the loop's time.
    """
    wait_s = preferred_wait_s(envelope.header.source.fields)
    wait_until = min(asyncio.get_running_loop().time() + wait_s, deadline - _ANSWERING_S) if wait_s else 0.0
    fate.doubtful = True
    try:
        [queue] = envelope.header.routing.destinations
        response = await commands.send(queue, envelope, deadline=deadline, wait_until=wait_until)
    except UncertainError:
        return Failed(make_error(envelope, Reason.UNCONFIRMED))
    except NotTakenError as error:
        fate.doubtful = False
        return Failed(make_error(envelope, error.reason))
    except HopError as error:
        fate.doubtful = False
        return unanswered(envelope, error, error.hop)
    fate.doubtful = False
    return make_acceptance(envelope, make_message_id()) if response is None else response_of(envelope, response)
