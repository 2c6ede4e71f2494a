"""Stage 8 of a message that goes to several targets at once: each behind its own Hop, their answers in one reply.

In: the Passage of a message whose rule gathers. Out: the reply, or why there is none. Called by exchange. With an
idempotency key each part is handled once by itself: when the whole comes to nothing and is sent again, only what did
not answer is asked again.
"""

from __future__ import annotations

import asyncio

from fastforward_pipeline.message import (
    Begin,
    Failed,
    Passage,
    Replied,
    claim_of,
    join,
    keep,
    lease_s,
    part_of,
    tell_again,
)

from fastforward.message.v1 import envelope_pb2
from fastforward.snapshot.v1 import snapshot_pb2

from .answer import call_target
from .identifier import make_message_id
from .once import Fate, OnceStore, Settling
from .targets import Targets

Part = envelope_pb2.Envelope | Failed


class Gatherer:
    """Sends parts, all at once."""

    def __init__(self, targets: Targets, once: OnceStore, settling: Settling) -> None:
        self._targets = targets
        self._once = once
        self._settling = settling

    async def gather(self, passage: Passage, deadline: float) -> Part:
        """Returns what they answer until the group's deadline, or the message's (the loop's time)."""
        gather = passage.exchange.final.wire.message.gather
        if gather.deadline_ms:
            deadline = min(deadline, asyncio.get_running_loop().time() + gather.deadline_ms / 1e3)
        async with asyncio.TaskGroup() as tasks:
            sent = {part.member: tasks.create_task(self._send(passage, part, deadline)) for part in gather.parts}
        parts = {member: task.result() for member, task in sent.items()}
        return join(passage.envelope, gather, parts, make_message_id())

    async def _send(self, passage: Passage, part: snapshot_pb2.GatherPart, deadline: float) -> Part:
        asked = part_of(passage, part)

        async def call(fate: Fate) -> Part:
            return await call_target(self._targets, part.upstream, asked, deadline, fate)

        if passage.claim is None:
            return await call(Fate())
        claim = claim_of(passage.claim, part)
        ended = tell_again(asked, claim, await self._once.begin(Begin(claim, lease_s(passage))))
        if ended is not None:
            return ended.reply if isinstance(ended, Replied) else ended
        result = await self._settling.handle(claim, call)
        if not isinstance(result, Failed):
            await self._settling.finish(keep(claim, result))
        return result
