"""Calls in JSON instead of protobuf, for people who look at what travels.

In: a message, and how it is sent. Out: the answer, as if nothing had been in JSON. Called by stages and targets where a
Workload says so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import grpc
import grpc.aio
import structlog
from fastforward_kit.transcription import TranscriptionError, read, transcribe
from fastforward_shield import Hop
from google.protobuf.message import Message

from fastforward.message.v1 import json_pb2

log = structlog.get_logger(__name__)

JSON, NOT_SERVED = "JSON", "JSON, not served there"
"""What hops are marked with."""
Said = TypeVar("Said", bound=Message)


async def ask_in_json(
    hop: Hop,
    asked: Message,
    content: bytes,
    call: Callable[[json_pb2.Transcribed], Awaitable[json_pb2.Transcribed]],
    type_: type[Said],
) -> Said | None:
    """Returns the answer, an empty one where it is no such message. None where JSON is not served: nothing has been
    done there, and it may be asked in protobuf.
    """
    try:
        told = await call(transcribe(asked, content))
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
            raise
        if hop.note != NOT_SERVED:
            hop.note = NOT_SERVED
            log.warning("no json there", hop=hop.name, why=error.details())
        return None
    hop.note = JSON
    try:
        return read(type_, told, lenient=True)
    except TranscriptionError as error:
        log.warning("answer in json malformed", hop=hop.name, why=str(error))
        return type_()
