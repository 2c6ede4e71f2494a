"""W3C trace context (https://www.w3.org/TR/trace-context/): which trace a request belongs to, and who called.

In: the value of `traceparent`. Out: a Parent, or None for none that counts. Called by whoever tells of spans, and by
whoever passes the context on.
"""

from __future__ import annotations

import re
import secrets
from typing import NamedTuple

_FORM = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-[!-~]*)?")
_SAMPLED = 1


class Parent(NamedTuple):
    """Who called, in which trace."""

    trace_id: str
    span_id: str
    sampled: bool
    """Whether the caller tells of its own span."""


def parse_traceparent(text: str) -> Parent | None:
    """Returns what it says; None for what is no trace context. Versions to come may have more behind the flags."""
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "00" and more is not None:
        return None
    return Parent(trace_id, span_id, bool(int(flags, 16) & _SAMPLED))


def write_traceparent(trace_id: str, span_id: str, *, sampled: bool) -> str:
    """Returns the header's value, by which a callee knows its caller."""
    return f"00-{trace_id}-{span_id}-{'01' if sampled else '00'}"


def new_trace_id() -> str:
    """Returns 16 random bytes in hexadecimal digits."""
    return secrets.token_hex(16)


def new_span_id() -> str:
    """Returns 8 random bytes in hexadecimal digits."""
    return secrets.token_hex(8)
