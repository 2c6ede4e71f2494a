"""A component that is away for a while: stopped, so that connections are refused, or frozen, so that nothing answers.

In: a running cluster and the name of a component. Out: it is away inside the `with`, and has been started again after
it, with what it had on disk. The supervisor, who alone numbers the node's processes, does it: a file in `outage/` asks
for it, one in `away/` says that it is so. Called by tests of what survives an outage.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Literal

from support.cluster.definition import Cluster

How = Literal["stopped", "frozen"]
SIGNALS: Mapping[str, signal.Signals] = {"stopped": signal.SIGKILL, "frozen": signal.SIGSTOP}
SECONDS = 30.0
TICK_SECONDS = 0.02


@contextlib.contextmanager
def outage(cluster: Cluster, component: str, how: How = "stopped") -> Generator[None]:
    """Returns to the caller when the component is away; when it is there again it may still be starting."""
    request, answer = cluster.state / "outage" / component, cluster.state / "away" / component
    request.parent.mkdir(exist_ok=True)
    # Renamed into place, so that nobody reads half of it.
    written = cluster.state / f"outage.{component}"
    written.write_text(how)
    written.replace(request)
    try:
        _wait(answer.exists, f"{component} is not {how}")
        yield
    finally:
        request.unlink()
        _wait(lambda: not answer.exists(), f"{component} does not come back")


def asked(state: Path) -> dict[str, signal.Signals]:
    """The components that are to be away, and what takes each of them away."""
    folder = state / "outage"
    return {path.name: SIGNALS[path.read_text()] for path in folder.iterdir()} if folder.is_dir() else {}


def tell(state: Path, component: str, *, away: bool) -> None:
    """Say that it is away, or that it is there again."""
    answer = state / "away" / component
    if away:
        answer.parent.mkdir(exist_ok=True)
        answer.touch()
    else:
        answer.unlink()


def _wait(holds: Callable[[], bool], complaint: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline, complaint
        time.sleep(TICK_SECONDS)
