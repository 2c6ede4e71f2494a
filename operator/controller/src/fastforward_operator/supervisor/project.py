"""`ff-up.yaml`: the programs that `ff up` runs beside the gateway.

In: the file in a directory of resources. Out: `Project`. Called by supervisor/up. The file belongs to the developer who
runs `ff up`, like a Makefile: its commands are run as they stand.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

FILE_NAME = "ff-up.yaml"


class ProjectError(Exception):
    """The file can't be used; the message names the file, the field and the remedy."""


class Program(BaseModel):
    """One program to run."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
    """Name, in the screen and of its log file."""
    command: Annotated[tuple[str, ...], Field(min_length=1)]
    """Program and arguments; `python` is the interpreter that runs `ff`."""
    ready: str | None = None
    """URL that answers 200 when it is ready; ready at once when absent."""


class Project(BaseModel):
    """What the file says."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    processes: tuple[Program, ...] = ()
    """Programs, started in this order."""
    try_: Annotated[tuple[str, ...], Field(alias="try")] = ()
    """Requests worth trying, shown when everything runs."""


def read_project(folder: Path) -> Project:
    """Read the file in `folder`; no file means nothing to run. Raises ProjectError."""
    path = folder / FILE_NAME
    if not path.exists():
        return Project()
    try:
        return Project.model_validate(yaml.safe_load(path.read_text()) or {})
    except yaml.YAMLError as error:
        raise ProjectError(f"{path} is not YAML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ProjectError(f"{path}: {field}: {first['msg']}. Mend the field and start again.") from None
