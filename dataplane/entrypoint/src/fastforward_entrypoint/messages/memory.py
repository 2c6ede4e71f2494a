"""The last messages that ended in this process, for whoever asks what became of one.

In: records. Out: those of an id. Written by watch, read by inquiries. It is bounded, and gone with the process.
"""

from __future__ import annotations

from collections import deque

from .way import Record

MOST_FOUND = 100


class Memory:
    """Of `size` messages; of none when it is 0."""

    def __init__(self, size: int) -> None:
        self._records: deque[Record] = deque(maxlen=size)

    def keep(self, record: Record) -> None:
        """Remembers one; the oldest is forgotten for it."""
        self._records.append(record)

    def find(self, id_: str) -> list[Record]:
        """Returns the message of that id, or those of the request or trace of that id, the oldest first.

        Looked for one by one: it is asked for rarely, and kept often.
        """
        if not id_:
            return []
        found = [each for each in self._records if id_ in (each.id, each.request_id, each.trace_id)]
        return found[-MOST_FOUND:]
