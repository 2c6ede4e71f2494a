"""What every workload is told from outside: the base of their settings.

In: environment variables, under the prefix that a workload's own settings class sets. Out: one frozen object.
Called by each workload's `settings.py`; those modules alone read the environment.
"""

import os
import socket
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class WorkloadSettings(BaseSettings):
    """Settings that all workloads share. A subclass sets `env_prefix` and adds its own."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    node: str = Field(default_factory=socket.gethostname, min_length=1, max_length=200)
    """Name in the operator's ledger, unique among the connected nodes."""
    operator: str = Field(min_length=1)
    """gRPC target of the operator's snapshot service: `HOST:PORT` or `unix:PATH`."""
    tls_dir: Path | None = None
    """Folder of tls.crt, tls.key and ca.crt: then the operator, and whoever connects, must prove who they are."""
    state_dir: Path | None = None
    """Where the last good snapshot is kept; without it a restart needs the operator."""
    health_host: str = "127.0.0.1"
    health_port: int = Field(default=0, ge=0, le=65535)
    """Port of /healthz, /readyz and /metrics; 0 for a free one, which the log names."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"
    drain_seconds: float = Field(default=5.0, ge=0.0, le=300.0)
    """The longest that requests in flight are waited for after SIGTERM."""
    stale_start_seconds: float = Field(default=2.0, ge=0.0, le=60.0)
    """How long a restart waits for the operator before it serves the snapshot it kept."""


def explain_invalid(error: ValidationError, prefix: str) -> str:
    """Returns one line a mistake, each naming the environment variable: `FF_X_PORT: Input should be ...`."""
    lines = []
    for mistake in error.errors(include_url=False, include_input=False):
        variable = prefix + "_".join(str(part) for part in mistake["loc"]).upper() if mistake["loc"] else "Settings"
        lines.append(f"{variable}: {mistake['msg'].removeprefix('Value error, ')}.".replace("..", "."))
    return "\n".join(lines)


def quiet_grpc() -> None:
    """Keeps what gRPC tells of connections off standard error, where lines are records, unless somebody wants it."""
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
