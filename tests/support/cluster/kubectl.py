"""kubectl, as users have it, pointed at one cluster. Called by tests and by what installs into a cluster."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from support.tools import program

SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Kubectl:
    """Every call is a process of its own. `context`: another than the kubeconfig's own, for another namespace."""

    kubeconfig: Path
    context: str = "fastforward"

    @property
    def where(self) -> tuple[str, ...]:
        """Which cluster. What kubectl remembers of it goes with the cluster, and not into the user's home."""
        cache = self.kubeconfig.with_name("kubectl")
        return (f"--kubeconfig={self.kubeconfig}", f"--context={self.context}", f"--cache-dir={cache}")

    def run(self, *arguments: str, stdin: str = "", seconds: float = SECONDS) -> subprocess.CompletedProcess[str]:
        """What became of it, good or bad."""
        return subprocess.run(
            [program("kubectl"), *self.where, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )

    def __call__(self, *arguments: str, stdin: str = "", seconds: float = SECONDS) -> str:
        """What it printed; raises AssertionError with what it complained of."""
        done = self.run(*arguments, stdin=stdin, seconds=seconds)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr.strip()}"
        return done.stdout

    def write_kubeconfig_of(self, namespace: str, account: str, path: Path, *options: str) -> Path:
        """Of a service account, which may do what its roles say and no more; `options`: of `kubectl create token`."""
        config = yaml.safe_load(self.kubeconfig.read_text())
        token = self("-n", namespace, "create", "token", account, *options).strip()
        config["users"] = [{"name": config["users"][0]["name"], "user": {"token": token}}]
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(config))
        return path

    def apply(self, *documents: dict[str, Any], options: tuple[str, ...] = ()) -> str:
        """Server-side apply."""
        return self("apply", "--server-side", *options, "-f", "-", stdin=yaml.safe_dump_all(documents))

    def get(self, *arguments: str) -> dict[str, Any]:
        """An object, or a list of them."""
        found: dict[str, Any] = json.loads(self("get", *arguments, "-o", "json"))
        return found
