"""`ff-up.yaml`: the programs that `ff up` runs beside the gateway.

In: the file in a directory of resources. Out: `Project`. Called by supervisor/up. The file belongs to the developer who
runs `ff up`, like a Makefile: its commands are run as they stand.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from fastforward_crds import Model
from fastforward_crds.formats import Format, Label
from fastforward_crds.lists import Items
from pydantic import Field, StringConstraints

from .yamlfile import FileProblemError, Written, read_model

FILE_NAME = "ff-up.yaml"
_OWN_NAMES = ("operator", "decision", "envoy")
"""Of the programs that are always run."""
_HIGHEST_PORT = 65_535


Argument = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", max_length=4096)]
"""No program can be given a zero byte."""
_URL = Format(
    "a URL that can be asked",
    r"^http://([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?(/[!-~]{0,1000})?$",
    1300,
    "http, with host and path",
    "http://127.0.0.1:7101/health",
)


class Program(Model):
    """One program to run."""

    name: Label
    """Name, in the screen and of its log file."""
    command: Annotated[tuple[Argument, ...], Items(least=1, most=256)]
    """Program and arguments; `python` is the interpreter that runs `ff`."""
    ready: Annotated[str, _URL] | None = None
    """URL that answers 200 when it is ready; ready at once when absent."""


class ProjectFile(Model):
    """What the file says."""

    processes: Annotated[tuple[Program, ...], Items(most=64, key="name")] = ()
    """Programs, started all at once."""
    try_: Annotated[tuple[str, ...], Field(alias="try"), Items(most=64)] = ()
    """Requests worth trying, shown when everything runs."""


class Project:
    """Everything that runs beside the gateway, from the files of all directories."""

    def __init__(self, files: Sequence[Written[ProjectFile]]) -> None:
        self.programs = tuple(program for file in files for program in file.value.processes)
        self.try_ = tuple(line for file in files for line in file.value.try_)


def read_project(directories: Sequence[Path]) -> Project:
    """Read the files in the directories; no file means nothing to run. Raises FileProblemError."""
    paths = [path for directory in directories if (path := directory / FILE_NAME).exists()]
    files = [read_model(path, ProjectFile) for path in paths]
    for file in files:
        for index, program in enumerate(file.value.processes):
            _check_program(program, file.place(f"processes[{index}].command"))
    return Project(files)


def program_command(program: Program) -> tuple[str, ...]:
    """The command as it is run."""
    return (sys.executable, *program.command[1:]) if program.command[0] == "python" else program.command


def _check_program(program: Program, place: str) -> None:
    """A missing program is told before anything is started. Raises FileProblemError."""
    first, *rest = program.command
    if program.name in _OWN_NAMES:
        raise FileProblemError(f"{place}: a program named {program.name} is there already: choose another name.")
    port = urlsplit(program.ready or "").netloc.rpartition("]")[2].rpartition(":")[2]
    if port.isdecimal() and not 0 < int(port) <= _HIGHEST_PORT:
        raise FileProblemError(f"{place}: the port of {program.ready} is none: choose one from 1 to {_HIGHEST_PORT}.")
    if first != "python":
        if shutil.which(first) is None:
            raise FileProblemError(f"{place}: the program {first} is not there: install it, or mend the command.")
    elif len(rest) > 1 and rest[0] == "-m" and not _has_module(rest[1]):
        raise FileProblemError(
            f"{place}: the Python module {rest[1]} is not there: install it next to ff ({sys.prefix}),"
            " or mend the command."
        )


def _has_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
