"""The files of the directories that hold resources.

In: directories, or single files. Out: the paths of resource files with what tells one version from the next, and the
folders to be watched. Called by watch and by the offline reading of the CLI, by `ff test` for files of another name.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

SUFFIXES = (".yaml", ".yml", ".json")
NO_RESOURCES = (
    *("ff-up.yaml", ".test.yaml", ".test.yml"),
    *("kustomization.yaml", "kustomization.yml", ".kubernetes.yaml", ".kubernetes.yml"),
)
"""How the names of files end that say something else: what `ff up` runs, route tests, and what only a cluster takes."""

Signature = bytes
"""Device, inode, size, time of change: a replaced or rewritten file has another one. In one piece: there are many."""
_SIGNATURE = struct.Struct("=QQqq")
_MOST_LINKS = 40
"""On the way to one path, as Linux has it."""
Identity = tuple[int, int]
"""Device and inode: a folder has the same one by whatever name."""


@dataclass(slots=True)
class Tree:
    """What is there."""

    files: dict[str, Signature] = field(default_factory=dict)
    folders: dict[str, Identity] = field(default_factory=dict)
    """Folders whose entries matter."""
    targets: dict[str, Identity] = field(default_factory=dict)
    """Others, in which something is that symbolic links lead to, or a root that is a file or a link."""
    links: dict[tuple[Identity, str], set[str]] = field(default_factory=dict)
    """Where files really are: the paths by which they are read, as far as these are others or lie in no folder."""
    missing: list[str] = field(default_factory=list)
    """Roots that are not there."""
    closed: dict[str, str] = field(default_factory=dict)
    """Folders that are there and can't be read: why. What is in them is not known, so nothing of it is gone."""


def is_resource_name(name: str) -> bool:
    """Whether a file of this name is read: not hidden, no editor's backup or temporary file, no file of ours."""
    return name.endswith(SUFFIXES) and not name.startswith((".", "#", "~")) and not name.endswith(NO_RESOURCES)


def sign(path: str) -> Signature | None:
    """The signature of a regular file, links followed; None when there is none, or none can be seen."""
    try:
        found = os.stat(path)  # noqa: PTH116 - called for every file at every scan
    except OSError:
        return None
    return _signature(found) if stat.S_ISREG(found.st_mode) else None


def is_hidden(path: str) -> bool:
    """Whether it can't be told if a file is there, because a folder above it can't be looked into."""
    try:
        os.stat(path)  # noqa: PTH116
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def list_tree(roots: Iterable[Path], wanted: Callable[[str], bool] = is_resource_name) -> Tree:
    """Walk the roots; hidden folders are left out, links followed, each folder visited once. Roots may be any file,
    below them are those whose name is `wanted`.
    """
    tree, visited = Tree(), set[Identity]()
    for root in roots:
        path = str(root)
        if root.is_dir():
            _note_way(path, tree)
            _walk(path, tree, visited, wanted)
        elif (signature := sign(path)) is not None:
            tree.files[path] = signature
            # Its neighbours are none of ours.
            _note_place(path, tree, path)
            _note_place(_note_way(path, tree, path), tree, path)
        else:
            tree.missing.append(path)
    tree.targets = {folder: identity for folder, identity in tree.targets.items() if identity not in visited}
    return tree


def _walk(root: str, tree: Tree, visited: set[Identity], wanted: Callable[[str], bool]) -> None:
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        try:
            identity = _identify(folder)
            if identity in visited:
                continue
            visited.add(identity)
            with os.scandir(folder) as entries:
                tree.folders[folder] = identity
                waiting += [path for entry in entries if (path := _visit(entry, tree, wanted)) is not None]
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            tree.closed[folder] = error.strerror or str(error)


def _visit(entry: os.DirEntry[str], tree: Tree, wanted: Callable[[str], bool]) -> str | None:
    """Notes a file; returns the path of a folder to walk into. One that can't be looked at hides no other."""
    if entry.name.startswith("."):
        return None
    try:
        return _look_at(entry, tree, wanted)
    except OSError:
        # A link that leads to itself or into a closed folder, or a file that has just gone.
        return None


def _look_at(entry: os.DirEntry[str], tree: Tree, wanted: Callable[[str], bool]) -> str | None:
    is_folder = entry.is_dir()
    if entry.is_symlink():
        is_file = not is_folder and wanted(entry.name)
        read_by = entry.path if is_file else None
        _note_place(_note_way(entry.path, tree, read_by), tree, read_by)
    if is_folder:
        return entry.path
    if wanted(entry.name) and entry.is_file():
        tree.files[entry.path] = _signature(entry.stat())
    return None


def _note_way(path: str, tree: Tree, read_by: str | None = None) -> str:
    """Returns where a path really leads. What happens to a link on the way there matters: it may be switched."""
    at, rest, links = Path(), [*reversed(Path(path).absolute().parts)], 0
    while rest and links < _MOST_LINKS:
        part = rest.pop()
        at = at.parent if part == ".." else at / part
        try:
            target = at.readlink()
        except OSError:
            continue  # no link
        _note_place(str(at), tree, read_by)
        rest += reversed(target.parts)
        at, links = at.parent, links + 1
    return str(at)


def _note_place(place: str, tree: Tree, path: str | None = None) -> None:
    """What happens at a place matters; for a file, `path` is by which it is read."""
    folder, name = os.path.split(place)
    folder = folder or "."
    try:
        identity = tree.targets.get(folder) or _identify(folder)
    except OSError:
        return
    tree.targets[folder] = identity
    if path is not None:
        tree.links.setdefault((identity, name), set()).add(path)


def _identify(folder: str) -> Identity:
    found = os.stat(folder)  # noqa: PTH116
    return found.st_dev, found.st_ino


def _signature(found: os.stat_result) -> Signature:
    return _SIGNATURE.pack(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
