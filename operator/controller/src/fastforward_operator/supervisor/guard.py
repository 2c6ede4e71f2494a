"""Ends what is left when the supervisor is gone, even when it was killed with SIGKILL.

In: lines `+GROUP` and `-GROUP` on standard input, which the supervisor holds open. Out: nothing; at the end of the
input every process group still listed gets SIGTERM, and SIGKILL a moment later. Run as a program by supervisor/orphans;
standard library only, so that it is there in milliseconds. The children's parent-death signal (Linux) ends the leaders
at once; this reaches what they have started, and systems without that signal.
"""

import os
import signal
import sys
import time

_GRACE_S = 2.0
_POLL_S = 0.02


def main() -> None:
    """Listen until the supervisor is gone, then clear up."""
    groups = _listen()
    _signal_all(groups, signal.SIGTERM)
    deadline = time.monotonic() + _GRACE_S
    while _signal_all(groups, 0) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    _signal_all(groups, signal.SIGKILL)


def _listen() -> set[int]:
    groups: set[int] = set()
    for line in sys.stdin:
        if line.startswith("+"):
            groups.add(int(line[1:]))
        else:
            groups.discard(int(line[1:]))
    return groups


def _signal_all(groups: set[int], number: int) -> bool:
    """Send it to every group; whether any of them is still there."""
    alive = False
    for group in groups:
        try:
            os.killpg(group, number)
            alive = True
        except (ProcessLookupError, PermissionError):
            continue
    return alive


if __name__ == "__main__":
    for ignored in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)
    main()
