"""Every field of every kind, with a value of the wrong type and one that is too long or too large.

`ff validate` names file, line and field of each, says what is wanted, and finds nothing in the neighbour beside them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import fastforward_crds as crds
import pytest
import yaml

from support.ff import ff
from support.full_world import full_world
from support.resources import Document, resource

OURS = [document for document in full_world() if document["apiVersion"] == crds.API_VERSION]
NEIGHBOUR = resource("Edge", "neighbour", {"hosts": ["a.example.com"], "listeners": [{"name": "http", "port": 8080}]})
Path_ = tuple[str | int, ...]
_LONG, _LONGER = 10_000, 1 << 20
"""Characters, of most texts, and of those that are documents."""
_LINE = 100
_MANY = 1025
"""Items; no list may have as many."""
_HUGE = 10**15
_MOST_SHOWN = 300
"""Characters of a message: a value that is too long is not repeated."""


class Fault(NamedTuple):
    """A document with one value that can't be."""

    kind: str
    field: str
    path: Path_
    document: Document


def written(path: Path_) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def walk(value: Any, path: Path_) -> Iterator[tuple[Path_, Any]]:  # noqa: ANN401 - whatever documents hold
    yield path, value
    inner: Any = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    for name, each in inner:
        yield from walk(each, (*path, name))


def wrong_type(value: object) -> object:
    return 7 if isinstance(value, str) else "text"


def excessive(value: Any) -> object:  # noqa: ANN401
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        return "x" * (_LONGER if len(value) > _LINE or value.startswith("{") else _LONG)
    if isinstance(value, int):
        return _HUGE
    return (value * _MANY)[:_MANY] if isinstance(value, list) and value else None


def replaced(document: Document, path: Path_, value: object) -> Document:
    changed = json.loads(json.dumps(document))  # by value: YAML would write what is shared once
    here: Any = changed
    for part in path[:-1]:
        here = here[part]
    here[path[-1]] = value
    return changed


def faults(how: str) -> list[Fault]:
    """One for each field of each kind; the first time that it is written counts."""
    found: dict[tuple[str, str], Fault] = {}
    for document in OURS:
        for path, value in walk(document["spec"], ("spec",)):
            made = wrong_type(value) if how == "wrong type" else excessive(value)
            field = written(path)
            key = document["kind"], re.sub(r"\[\d+\]", "[]", field)
            if made is not None and key not in found:
                found[key] = Fault(document["kind"], field, path, replaced(document, path, made))
    return list(found.values())


def line_of(text: str, path: Path_) -> int:
    """Where the field begins, from 1."""
    node: Any = yaml.compose(text)
    line = 0
    for part in path:
        if isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line
        else:
            key, node = next((key, value) for key, value in node.value if key.value == part)
            line = key.start_mark.line
    return int(line) + 1


@pytest.mark.parametrize("how", ["wrong type", "excess"])
def test_file_line_and_field_are_named_and_what_is_wanted(tmp_path: Path, how: str) -> None:
    made = faults(how)
    assert {fault.kind for fault in made} == {kind.name for kind in crds.KINDS}
    assert len(made) > 200
    (tmp_path / "neighbour.yaml").write_text(yaml.safe_dump(NEIGHBOUR))
    for number, fault in enumerate(made):
        fault.document["metadata"]["name"] = f"f{number}"
        (tmp_path / f"{number}.yaml").write_text(yaml.safe_dump(fault.document, sort_keys=False))
    said: dict[str, list[dict[str, Any]]] = {}
    for problem in ff("validate", tmp_path, "-o", "json").json["problems"]:
        said.setdefault(Path(problem["file"]).name, []).append(problem)
    assert "neighbour.yaml" not in said
    for number, fault in enumerate(made):
        of_it = [each for each in said.get(f"{number}.yaml", []) if each["reason"] == "Invalid"]
        named = [each for each in of_it if each["field"].startswith(fault.field)]
        assert named, f"{fault.kind} {fault.field}: {of_it}"
        first = named[0]
        assert first["message"].endswith(".")
        assert len(first["message"]) <= _MOST_SHOWN, first["message"]
        if first["field"] == fault.field:
            text = (tmp_path / f"{number}.yaml").read_text()
            assert first["line"] == line_of(text, fault.path), f"{fault.kind} {fault.field}"
