"""Files of one Secret, to which commands add entries.

In: a path, what kind of Secret belongs there, and a change. Out: the file, written whole or not at all. Called by key
and user.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastforward_crds as crds
import yaml

from fastforward_operator.providers.dump import dump_documents


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretKind:
    """What belongs into the file."""

    type: str
    namespace: str
    """Of a new one."""
    fresh: Mapping[str, str]
    """Data of a new one."""
    needed: str
    """The key without which it is something else."""


def change_secret(path: Path, kind: SecretKind, change: Callable[[dict[str, str]], None]) -> bool:
    """Let `change` add to the data; whether that was written, and says why not. Raises OSError.

    Commands at once change it one after another: the folder is locked, which leaves nothing behind.
    """
    target = Path(os.path.realpath(path))
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        document = read_secret(path, kind)
        if document is None:
            return False
        change(document["data"])
        if isinstance(made := crds.parse_resource(document), crds.Invalid):
            print(f"No Secret can be made in {path}: {made.errors[0].field}: {made.errors[0].message}", file=sys.stderr)
            return False
        replace_file(target, dump_documents(document))
        return True
    finally:
        os.close(folder)


def read_secret(path: Path, kind: SecretKind) -> dict[str, Any] | None:
    """Returns the document, a new one where there is no file yet; None, and says so, where the file holds anything but
    one Secret of this kind. Raises OSError.
    """
    if not path.exists():
        metadata = {"name": path.stem, "namespace": kind.namespace}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": kind.type, "data": dict(kind.fresh)}
    document = _load(path) if path.is_file() else None
    found = crds.parse_resource(document) if isinstance(document, dict) else None
    # Of stringData nothing could be kept: what is in it wins over data.
    if isinstance(found, crds.Secret) and found.type == kind.type and kind.needed in found.data:
        return document
    print(f"{path} holds something other than one Secret of type {kind.type}: name another file.", file=sys.stderr)
    return None


def replace_file(path: Path, text: str) -> None:
    """Write beside, then rename: a running operator never reads half a file. Who might read it may read it still."""
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o600
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    beside.touch(mode=0o600)
    beside.write_text(text)
    beside.chmod(mode)
    beside.rename(path)


def _load(path: Path) -> Any:  # noqa: ANN401 - YAML
    try:
        return yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        return None
