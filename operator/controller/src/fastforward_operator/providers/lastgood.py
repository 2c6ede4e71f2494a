"""The last good version of every object, kept over restarts.

In: texts of objects that were read without fault. Out: these texts, generations and where they were, after a restart
that finds the file broken. Called by file. A SQLite file in the state folder, readable by this user only, because
Secrets are among the objects. Losing it costs nothing but the memory.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import fastforward_crds as crds
import structlog
from fastforward_compiler.problem import ObjectRef

from .claims import Good, Remembered
from .document import Chunk, DocumentError, decode_document

_log = structlog.get_logger(__name__)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS object (
    kind TEXT, namespace TEXT, name TEXT, generation INTEGER, spec BLOB, path TEXT, text BLOB, json INTEGER,
    PRIMARY KEY (kind, namespace, name)
) WITHOUT ROWID
"""


class LastGood:
    """Opened for each use, in whatever thread that is."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "last-good.sqlite"

    def load(self) -> dict[ObjectRef, Remembered]:
        """What is known of every object, without texts; nothing when the file is unusable, which is then made anew."""
        try:
            with closing(self._connect()) as connection:
                rows = connection.execute("SELECT kind, namespace, name, generation, spec, path FROM object").fetchall()
        except sqlite3.DatabaseError as error:
            _log.warning("last good versions are lost", path=str(self._path), error=str(error))
            self._path.unlink(missing_ok=True)
            return {}
        return {
            ObjectRef(kind=kind, namespace=namespace, name=name): Remembered(
                generation=generation, spec=spec, path=path
            )
            for kind, namespace, name, generation, spec, path in rows
        }

    def read(self, ref: ObjectRef) -> crds.Resource | None:
        """The last good version of an object."""
        with closing(self._connect()) as connection:
            row = connection.execute(
                "SELECT text, json, generation FROM object WHERE kind = ? AND namespace = ? AND name = ?",
                (ref.kind, ref.namespace, ref.name),
            ).fetchone()
        if row is None:
            return None
        text, as_json, generation = row
        try:
            value = decode_document(Chunk(text=text, line=1, json=bool(as_json)))
        except DocumentError:
            return None
        if not isinstance(value, dict) or not isinstance(value.get("metadata"), dict):
            return None
        resource = crds.parse_resource({**value, "metadata": {"generation": generation, **value["metadata"]}})
        return resource if isinstance(resource, crds.Resource) else None

    def save(self, objects: Mapping[ObjectRef, Good | None]) -> None:
        """Keep new versions, forget objects that are gone (None)."""
        gone = [(ref.kind, ref.namespace, ref.name) for ref, good in objects.items() if good is None]
        kept = [
            (
                *(ref.kind, ref.namespace, ref.name),
                *(good.remembered.generation, good.remembered.spec, good.remembered.path),
                *(good.text, int(good.json)),
            )
            for ref, good in objects.items()
            if good is not None
        ]
        with closing(self._connect()) as connection, connection:
            connection.executemany("DELETE FROM object WHERE kind = ? AND namespace = ? AND name = ?", gone)
            connection.executemany("INSERT OR REPLACE INTO object VALUES (?, ?, ?, ?, ?, ?, ?, ?)", kept)

    def _connect(self) -> sqlite3.Connection:
        if not self._path.exists():
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
        connection = sqlite3.connect(self._path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(_SCHEMA)
        return connection
