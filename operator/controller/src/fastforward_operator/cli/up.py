"""`ff up`: the screen that fits the terminal, and the supervisor.

In: options. Out: an exit code. Called by cli/main.
"""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from pathlib import Path

from rich.console import Console

from fastforward_operator.supervisor.ports import has_ipv6
from fastforward_operator.supervisor.screen import LiveScreen, PlainScreen, Screen
from fastforward_operator.supervisor.settings import UpSettings
from fastforward_operator.supervisor.up import up


def run(  # noqa: PLR0913 - one for each option
    directories: list[Path],
    *,
    state: Path,
    bind: list[str],
    api_port: int,
    front: bool,
    zone: str | None,
    plain: bool,
) -> int:
    """Run until somebody ends it."""
    loopback = ("127.0.0.1", "::1") if has_ipv6() else ("127.0.0.1",)
    settings = UpSettings(
        directories=tuple(directories),
        state=state,
        bind=tuple(bind) or loopback,
        api_port=api_port,
        zone=zone,
        front=front,
    )
    console = Console()
    live = console.is_terminal and not plain
    screen: Screen = LiveScreen(console) if live else PlainScreen(partial(print, flush=True))
    try:
        return asyncio.run(up(settings, screen))
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 1
