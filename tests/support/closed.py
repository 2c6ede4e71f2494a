"""Folders that can't be read, also by root, whom no mode keeps out. Called by tests of what reads directories."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest


def close_folder(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Neither its names nor what is in it can be looked at, as with mode 000, until the patch is undone."""
    scandir, stat = os.scandir, os.stat

    def is_in(path: object) -> bool:
        return str(path).startswith(f"{folder}/")

    def refuse(path: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    def closed_scandir(path: Any = ".") -> Any:  # noqa: ANN401 - as os.scandir has it
        if is_in(f"{path}/"):
            refuse(path)
        return scandir(path)

    def closed_stat(path: Any, **how: Any) -> Any:  # noqa: ANN401 - as os.stat has it
        if is_in(path):
            refuse(path)
        return stat(path, **how)

    monkeypatch.setattr(os, "scandir", closed_scandir)
    monkeypatch.setattr(os, "stat", closed_stat)
