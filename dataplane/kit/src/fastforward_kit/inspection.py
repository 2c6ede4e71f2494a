"""Answers what people want to know of this node, over a stream that it opens to the operator.

In: inquiries of the operator's InspectionService. Out: answers. A workload runs `run` for its whole life. It connects
to where the snapshot comes from, and proves who it is in the same way: nobody has to reach it. An operator that has no
such service is tried again, some times a minute.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
from grpc.aio import AioRpcError

from fastforward.inspection.v1 import inspection_pb2, inspection_pb2_grpc
from fastforward_kit.backoff import Backoff
from fastforward_kit.snapshot.client import CONNECT_SECONDS, Target

log = structlog.get_logger(__name__)

Answers = Callable[[inspection_pb2.Inquiry], inspection_pb2.Answer]


class InspectionClient:
    """`answer` says what there is to say; the number of the inquiry is written into it here."""

    def __init__(self, target: Target, node: str, answer: Answers) -> None:
        self._target = target
        self._node = node
        self._answer = answer

    async def run(self) -> None:
        """Until cancelled; comes back after every failure."""
        backoff = Backoff(first=0.1, longest=10.0)
        while True:
            try:
                await self._serve(backoff)
            except AioRpcError as error:
                log.debug("inspections away", target=self._target.address, why=error.code().name)
            except (TimeoutError, OSError, asyncio.InvalidStateError) as error:
                log.debug("inspections away", target=self._target.address, why=repr(error))
            except Exception:  # ours: the next inquiry may be answered
                log.exception("inspections failed")
            await asyncio.sleep(backoff.next_wait())

    async def _serve(self, backoff: Backoff) -> None:
        async with self._target.channel() as channel:
            stream = inspection_pb2_grpc.InspectionServiceStub(channel).StreamInquiries()
            async with asyncio.timeout(CONNECT_SECONDS):
                await stream.write(inspection_pb2.Answer(node=self._node))
            while True:
                inquiry = await stream.read()
                if not isinstance(inquiry, inspection_pb2.Inquiry):  # EOF
                    return
                backoff.reset()
                answer = self._answer(inquiry)
                answer.number = inquiry.number
                await stream.write(answer)
