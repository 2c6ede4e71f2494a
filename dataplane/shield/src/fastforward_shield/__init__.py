"""Shield: what surrounds every call to another process, so that a slow or dead callee hurts nobody but itself.

`Hop` is one callee with its `Policy`; hop.py has the order in which the parts surround a call.
"""

from .breaker import State
from .failure import (
    CircuitOpenError,
    DeadlineExceededError,
    HopError,
    Meaning,
    SaturatedError,
    TryTimeoutError,
)
from .hop import Counts, Hop, HopState, Operation, Try
from .policy import Adaptive, Breaker, Bulkhead, Hedge, Policy, Retry
