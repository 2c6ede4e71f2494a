"""A real PostgreSQL for tests, on a free port, that can be frozen, killed and started again.

In: a folder. Out: a running server. Called by the contract suite of stores. It refuses to run as root: then it runs as
the user that its package has made.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from .processes import free_port
from .processfamily import ProcessFamily

START_SECONDS = 20.0
_USER = "postgres" if os.getuid() == 0 else None
_FAST = {"fsync": "off", "shared_buffers": "16MB", "max_connections": 40}


def _program(name: str) -> str:
    found = shutil.which(name) or max(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), default="")
    if not found:
        pytest.fail("PostgreSQL is not installed: run make programs (on Debian: apt-get install postgresql).")
    return found


@dataclass
class PostgresqlServer(ProcessFamily):
    """Stopped by `running_postgresql`, whatever state a test left it in."""

    folder: Path
    port: int = field(default_factory=free_port)
    password: str = field(default_factory=lambda: secrets.token_hex(12))

    @property
    def url(self) -> str:
        return f"postgresql://127.0.0.1:{self.port}/postgres"

    def connect(self) -> psycopg.Connection:
        """A plain client, for what a test does behind the store's back."""
        return psycopg.connect(self.url, user="ff", password=self.password, autocommit=True, connect_timeout=2)

    def initialise(self) -> None:
        self.folder.chmod(0o755)
        data, secret = self.folder / "data", self.folder / "password"
        data.mkdir()
        secret.write_text(self.password)
        if _USER is not None:
            shutil.chown(data, _USER)
            shutil.chown(secret, _USER)
        options = ("-U", "ff", "-A", "scram-sha-256", f"--pwfile={secret}", "--no-sync", "-E", "UTF8", "--locale=C")
        subprocess.run(
            [_program("initdb"), "-D", data, *options], check=True, capture_output=True, user=_USER, cwd=data
        )

    def start(self) -> None:
        data = self.folder / "data"
        settings = {"port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", **_FAST}
        command = [_program("postgres"), "-D", str(data), *(f"--{name}={value}" for name, value in settings.items())]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=_USER,
            cwd=data,
        )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert time.monotonic() < deadline, "PostgreSQL does not answer"
            time.sleep(0.02)

    def _answers(self) -> bool:
        with contextlib.suppress(psycopg.Error), self.connect():
            return True
        return False


@contextlib.contextmanager
def running_postgresql() -> Generator[PostgresqlServer]:
    # Not below pytest's folders: those are root's alone.
    with tempfile.TemporaryDirectory(prefix="ff-postgresql-") as folder:
        server = PostgresqlServer(Path(folder))
        server.initialise()
        server.start()
        try:
            yield server
        finally:
            server.kill()
