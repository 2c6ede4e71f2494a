"""What has been handled once is told again: where that is remembered.

`redis` and `postgresql` are imported by whoever uses them: their clients cost a good part of a start.
"""

from .in_process import InProcessOnceStore
from .port import OnceStore
from .settling import Fate, Settling

__all__ = ["Fate", "InProcessOnceStore", "OnceStore", "Settling"]
