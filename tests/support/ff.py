"""The command `ff`, run in the test's own process. Called by tests of the command line."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastforward_operator.cli.main import app
from typer.testing import CliRunner


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever was printed
        return json.loads(self.out)


def ff(*arguments: str | Path) -> Said:
    """Runs `ff ARGUMENTS`; an exception that is no exit is raised."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Said(code=result.exit_code, out=result.stdout, err=result.stderr)
