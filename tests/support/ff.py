"""The command `ff`, run in the test's own process, or with a cluster in one of its own. Called by tests of both."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastforward_operator.cli.main import app
from typer.testing import CliRunner

from support.tools import program

SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever was printed
        return json.loads(self.out)


def ff(*arguments: str | Path, stdin: str = "") -> Said:
    """Runs `ff ARGUMENTS`; an exception that is no exit is raised."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Said(code=result.exit_code, out=result.stdout, err=result.stderr)


def ff_process(*arguments: str | Path, **environment: str) -> Said:
    """Runs `ff ARGUMENTS` in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "fastforward_operator.cli", *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    return Said(code=done.returncode, out=done.stdout, err=done.stderr)


def ff_of(kubeconfig: Path, *arguments: str | Path, **environment: str) -> Said:
    """Runs `ff ARGUMENTS` on a cluster by the kubectl of the tests, which leaves nothing in the user's home."""
    path = f"{program('kubectl').parent}{os.pathsep}{os.environ['PATH']}"
    cache = str(kubeconfig.with_name("kubectl"))
    return ff_process(*arguments, "--kubeconfig", kubeconfig, PATH=path, KUBECACHEDIR=cache, **environment)
