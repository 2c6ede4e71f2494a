"""Stops asking a counter store that does not answer, so that its death costs requests no time.

Called by adapters around each exchange. Closed: ask. Open: don't, until a probe has succeeded.
"""

from dataclasses import dataclass


@dataclass(slots=True)
class Breaker:
    """Opens at once when the connection is refused or lost, and after `patience` late answers in a row.

    One late answer is no reason: a server that forks to save its data pauses for some milliseconds.
    """

    patience: int = 3
    is_open: bool = False
    _failures: int = 0

    def succeeded(self) -> None:
        """An exchange, or a probe, worked."""
        self._failures = 0
        self.is_open = False

    def failed(self, *, lost: bool) -> None:
        """An exchange did not work; `lost` says that there was nobody to talk to."""
        self._failures += 1
        if lost or self._failures >= self.patience:
            self.is_open = True
