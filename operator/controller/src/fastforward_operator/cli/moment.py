"""A point in time, as people type it.

In: the text of `--at`. Out: a datetime; one sentence and exit code 1 when it is none. Called by the commands that
compile resources.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime


def moment(text: str) -> datetime | None:
    """The point in time; None of an empty text, which means now. Without an offset it is in UTC."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        print(f"--at {text!r} is no point in time: write it as 2026-12-24T18:00:00Z.", file=sys.stderr)
        raise SystemExit(1) from None
