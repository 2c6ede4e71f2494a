"""Ids of messages, UUID version 7 (RFC 9562), which sort by the time at which they were made; of events, version 5."""

import secrets
import time
import uuid

_VERSION, _VARIANT = 0x7 << 76, 0x2 << 62
_EVENTS = uuid.UUID("5e4f1bd6-1a3e-4c8e-9a53-0d6c9b6f7f01")


def make_message_id() -> str:
    """Returns a new id: 48 bits of milliseconds, 74 random ones."""
    milliseconds = time.time_ns() // 1_000_000
    random = secrets.randbits(74)
    high, low = random >> 62, random & ((1 << 62) - 1)
    return str(uuid.UUID(int=(milliseconds << 80) | _VERSION | (high << 64) | _VARIANT | low))


def make_event_id(message_id: str) -> str:
    """Returns the id of the event that a message was handled: the same whenever that is told."""
    return str(uuid.uuid5(_EVENTS, message_id))
