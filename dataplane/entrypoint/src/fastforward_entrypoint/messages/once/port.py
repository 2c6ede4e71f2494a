"""The port through which messages with an idempotency key are remembered.

Implemented by `in_process`, `redis` and `postgresql`, which pass the same suite, tests/contract/test_once_store.py.
"""

from typing import Protocol

from fastforward_pipeline.effects import Unavailable
from fastforward_pipeline.message import Begin, Beginning, Finish


class OnceStore(Protocol):
    """Remembers keys until they are over. What it can't remember in time, it says: a message then goes no further."""

    async def begin(self, asked: Begin) -> Beginning | Unavailable:
        """Whether the key is new, else what is known of it. Of two at once, one is first.

        Whoever is first holds the key for `lease_s`: one that dies leaves it free after that. The same claim may be
        begun again, and is first again: an answer may have been lost.
        """
        ...

    async def finish(self, asked: Finish) -> bool | Unavailable:
        """Keeps the result of a claim, or without one forgets it: the same message may come again.

        False when the key is another claim's by now: its lease was over. May be asked again.
        """
        ...
