"""The port through which decisions count.

Implemented by `in_process` and `redis`, which pass the same suite, tests/contract/test_counter_store.py.
"""

import asyncio
from typing import Protocol

from fastforward_pipeline.effects import Answer, TakeTokens


class CounterStore(Protocol):
    """Takes from each bucket and slots of a request, or from none of them."""

    def take(self, effect: TakeTokens) -> Answer | asyncio.Future[Answer]:
        """Returns the answer where it is known at once; else a future that comes to one within a deadline.

        All or nothing: a request that one limit refuses costs its caller no token of another, so nobody can use up a
        budget that he shares by being refused. Buckets in the shadow are watched: an empty one refuses nothing.
        The answer's `holder` is the name by which places were taken; they are free again when their lease is over.
        Who is told Unavailable, or waits no longer, holds none.
        """
        ...
