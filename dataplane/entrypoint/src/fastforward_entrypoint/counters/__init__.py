"""Where tokens are counted: in this process, or in Redis for several. Both keep the same contract."""

from fastforward_entrypoint.counters.in_process import InProcessCounterStore
from fastforward_entrypoint.counters.port import CounterStore

__all__ = ["CounterStore", "InProcessCounterStore"]
