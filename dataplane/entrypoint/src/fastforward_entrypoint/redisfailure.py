"""What goes wrong with Redis, in one word. Called by whoever asks it and counts that."""

import asyncio

from redis.exceptions import ConnectionError as LostError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as LateError

FAILURES = (RedisError, OSError, TimeoutError)
"""Whatever the client raises."""


def kind_of(error: BaseException | None) -> str:
    """Returns `lost` when there is no connection, `timeout` when nothing came in time, else `refused`.

    None is a connection that has ended without a word.
    """
    if isinstance(error, LateError | TimeoutError):
        return "timeout"
    return "lost" if isinstance(error, LostError | OSError) else "refused"


def is_cancelled() -> bool:
    """Whether this task is to end. The client may have swallowed that, as asyncio.wait_for does at times."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
