"""When an operator answers. Called by benchmarks that ask its API."""

from __future__ import annotations

import contextlib
import json
import time

from perf.standalone import OPERATOR, Standalone

_START_S = 180.0


def until_ready(gateway: Standalone) -> None:
    """Until all that there is has been compiled. Raises TimeoutError with what the operator says."""
    deadline = time.monotonic() + _START_S
    while True:
        with contextlib.suppress(OSError, json.JSONDecodeError):
            if gateway.api("/readyz")["status"] == "ready":
                return
        if gateway.ended(OPERATOR) or time.monotonic() > deadline:
            raise TimeoutError(f"The operator is not ready:\n{gateway.log(OPERATOR)}")
        time.sleep(0.05)
