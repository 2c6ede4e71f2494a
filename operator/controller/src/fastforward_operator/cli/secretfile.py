"""Files of one Secret, to which commands add entries.

In: a path, and the type of Secret that belongs there. Out: its document; the file, written whole or not at all. Called
by key and user.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fastforward_crds as crds
import yaml

from fastforward_operator.providers.dump import dump_documents


def read_secret(path: Path, namespace: str, kind: str, fresh: Mapping[str, str], needed: str) -> dict[str, Any] | None:
    """Returns the document, with the data `fresh` where there is no file yet; None, and says so, where the file holds
    anything but one Secret of this type with the key `needed`. Raises OSError.
    """
    if not path.exists():
        metadata = {"name": path.stem, "namespace": namespace}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": kind, "data": dict(fresh)}
    document = _load(path) if path.is_file() else None
    found = crds.parse_resource(document) if isinstance(document, dict) else None
    # Of stringData nothing could be kept: what is in it wins over data.
    if isinstance(found, crds.Secret) and found.type == kind and needed in found.data:
        return document
    print(f"{path} holds something other than one Secret of type {kind}: name another file.", file=sys.stderr)
    return None


def write_secret(path: Path, document: Mapping[str, Any]) -> bool:
    """Whether it was written; says why it was not. Raises OSError."""
    if isinstance(made := crds.parse_resource(document), crds.Invalid):
        print(f"No Secret can be made in {path}: {made.errors[0].field}: {made.errors[0].message}", file=sys.stderr)
        return False
    replace_file(path, dump_documents(document))
    return True


def replace_file(path: Path, text: str) -> None:
    """Write beside, then rename: a running operator never reads half a file."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    beside.touch(mode=0o600)
    beside.write_text(text)
    beside.rename(path)


def _load(path: Path) -> Any:  # noqa: ANN401 - YAML
    try:
        return yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        return None
