"""What `ff up` is told: by its arguments, and by the environment that its children inherit.

In: options of the command. Out: one frozen object. Called by the CLI; nothing else in the supervisor reads the
environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class UpSettings:
    """What the user asked for."""

    directories: tuple[Path, ...]
    state: Path
    bind: tuple[str, ...]
    """Addresses of the listeners."""
    api_port: int
    api_address: str = "127.0.0.1"
    zone: str | None = None
    """Where this machine is; None where zones do not matter."""
    front: bool = False
    """Whether a Traefik stands before the Envoy."""
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)
    """What every child inherits."""

    @property
    def api(self) -> str:
        """Base URL of the operator's API."""
        return f"http://{self.api_address}:{self.api_port}"
