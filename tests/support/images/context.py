"""What Docker would be given to build from: the files that `.dockerignore` leaves over.

In: the root of the repository. Out: paths, and a copy of them in a folder. Called by the builder, so that what a
Dockerfile needs and `.dockerignore` withholds is noticed here as it is by Docker.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from support.repository import ROOT


def rules(text: str) -> list[tuple[re.Pattern[str], bool]]:
    """Each pattern of a .dockerignore, and whether what it matches is left out; the last one that matches decides."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(pattern(line.removeprefix("!")), not line.startswith("!")) for line in lines]


def pattern(text: str) -> re.Pattern[str]:
    """A path or one of the folders above it: `**` is any number of folders, `*` any part of a name."""
    translated = "".join(
        {"**/": "(?:.*/)?", "*": "[^/]*"}.get(part, re.escape(part)) for part in re.split(r"(\*\*/|\*)", text)
    )
    return re.compile(rf"{translated}(?:/.*)?")


def is_left_out(path: str, found: list[tuple[re.Pattern[str], bool]]) -> bool:
    """Whether Docker does not see the file."""
    return next((left_out for regex, left_out in reversed(found) if regex.fullmatch(path)), False)


def context_files(root: Path = ROOT) -> Iterator[Path]:
    """Yields the files of the context, relative to the root, in a fixed order."""
    text = (root / ".dockerignore").read_text()
    found = rules(text)
    # What no rule takes back in is not walked: .venv alone has ten thousand files.
    kept = {line[1:].strip() for line in text.splitlines() if line.startswith("!")}
    for name in sorted(kept):
        for path in walk(root / name):
            relative = path.relative_to(root)
            if not is_left_out(str(relative), found):
                yield relative


def walk(path: Path) -> Iterator[Path]:
    """Yields the file, or all files below the folder."""
    if path.is_file():
        yield path
    for folder, folders, files in os.walk(path):
        folders.sort()
        yield from (Path(folder, name) for name in sorted(files))


def copy_context(target: Path, root: Path = ROOT) -> None:
    """Makes `target` hold the context and nothing else."""
    shutil.rmtree(target, ignore_errors=True)
    for path in context_files(root):
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / path, target / path)
