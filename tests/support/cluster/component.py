"""One program of a cluster: what it is called, how it is started, how one sees that it can be used.

Made by the modules named after the components, run by the supervisor.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """`command[0]` is a path. What comes after it is started once `ready()` is true; None: at once."""

    name: str
    command: tuple[str, ...]
    ready: Callable[[], bool] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


def options(**values: object) -> tuple[str, ...]:
    """`data_dir="x"` becomes `--data-dir=x`; a truth value is written as Go writes it."""
    return tuple(
        f"--{name.replace('_', '-')}={str(value).lower() if isinstance(value, bool) else value}"
        for name, value in values.items()
    )


def accepts(path: Path) -> bool:
    """Whether somebody listens on the Unix socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True
