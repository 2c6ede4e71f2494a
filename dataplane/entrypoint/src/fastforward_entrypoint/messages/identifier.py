"""Ids of messages: UUID version 7 (RFC 9562, section 5.7), which sort by the time at which they were made."""

import secrets
import time
import uuid

_VERSION, _VARIANT = 0x7 << 76, 0x2 << 62


def make_message_id() -> str:
    """Returns a new id: 48 bits of milliseconds, 74 random ones."""
    milliseconds = time.time_ns() // 1_000_000
    random = secrets.randbits(74)
    high, low = random >> 62, random & ((1 << 62) - 1)
    return str(uuid.UUID(int=(milliseconds << 80) | _VERSION | (high << 64) | _VARIANT | low))
