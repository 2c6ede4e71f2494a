"""`ff import`: manifests of others as resources of ours, and what became of every field.

In: files and directories. Out: the resources, on standard output or as files, and a report. Called by cli/main.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from fastforward_operator.importing import Imported, Note, ReadError, Verdict, import_files

from .output import Output, counted, print_data

REPORT = "import-report.txt"
_SHOWN = (Verdict.CHANGED, Verdict.LOST)


def run(paths: Sequence[Path], edge: str, into: Path | None, output: Output, *, literal: bool) -> int:
    """Write the resources and the report; 1 when nothing could be read, or a file is there already."""
    try:
        imported = import_files(paths, edge, literal=literal)
    except ReadError as error:
        print(error, file=sys.stderr)
        return 1
    if not imported.notes:
        print(f"There are no manifests in {', '.join(map(str, paths))}.", file=sys.stderr)
        return 1
    if into is not None and not _write(imported, into):
        return 1
    if output is not Output.TEXT:
        print_data(_data(imported, with_resources=into is None), output)
        return 0
    if into is None:
        print("---\n".join(str(each) for each in imported.written), end="")
    for note in imported.notes:
        if note.verdict in _SHOWN:
            print(note, file=sys.stderr)
    print(_summary(imported), file=sys.stderr)
    return 0


def _write(imported: Imported, into: Path) -> bool:
    """Whether all could be written; a file that is there is somebody's."""
    files: dict[str, list[str]] = {}
    for each in imported.written:
        files.setdefault(each.file, []).append(str(each))
    texts = {name: "---\n".join(documents) for name, documents in files.items()}
    texts[REPORT] = "".join(f"{note}\n" for note in imported.notes) + f"{_summary(imported)}\n"
    there = next((into / name for name in texts if (into / name).exists()), None)
    if there is not None:
        print(f"{there} is there already: name another directory, or remove it.", file=sys.stderr)
        return False
    into.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (into / name).write_text(text, encoding="utf-8")
    return True


def _summary(imported: Imported) -> str:
    counts = ", ".join(f"{imported.count(verdict)} {verdict}" for verdict in Verdict)
    return f"{counted(len(imported.written), 'document')} written; of the fields read: {counts}."


def _data(imported: Imported, *, with_resources: bool) -> dict[str, object]:
    found: dict[str, object] = {
        "counts": {str(verdict): imported.count(verdict) for verdict in Verdict},
        "report": [_note(note) for note in imported.notes],
    }
    if with_resources:
        found["resources"] = [each.document for each in imported.written]
    return found


def _note(note: Note) -> dict[str, str | None]:
    return {
        "place": note.place,
        "object": note.object,
        "field": note.field,
        "verdict": str(note.verdict),
        "message": note.message or None,
        "remedy": note.remedy or None,
    }
