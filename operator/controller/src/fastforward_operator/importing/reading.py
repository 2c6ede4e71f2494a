"""What is read of a foreign object, field by field, with what became of each.

In: files with documents. Out: `Item`s, whose `Field`s take notes while translators ask for them. Called by conversion.
Why it exists: a field that nobody asked for leaves a note as well, so that nothing is dropped in silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from fastforward_operator.providers.document import (
    Chunk,
    DocumentError,
    decode_document,
    first_line,
    locate_field,
    split_documents,
)
from fastforward_operator.providers.tree import list_tree


class ReadError(Exception):
    """The input can't be read; the message says where and why."""


class Verdict(StrEnum):
    """What became of a field."""

    TAKEN = "taken"
    CHANGED = "changed"
    """Taken with another meaning, which the message tells."""
    LOST = "no equivalent"
    ASIDE = "not needed"
    """Says nothing about traffic, or what goes without saying here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What became of one field, or of a whole object."""

    place: str
    """FILE:LINE."""
    object: str
    field: str
    verdict: Verdict
    message: str = ""
    remedy: str = ""

    @property
    def said(self) -> str:
        """Message and remedy."""
        return " ".join(part for part in (self.message, self.remedy) if part)

    def __str__(self) -> str:
        about = f" {self.field}:" if self.field else ""
        return f"{self.place}: {self.object}:{about} {self.verdict}{': ' + self.said if self.said else ''}"


_NUMBER = re.compile(r"\s*[-+]?[0-9]{1,18}\s*")
UNKNOWN = "This field is not known to the import."
LOOK = "Look up what it does, and say it in the resources if they can."
_Said = tuple[Verdict, str, str]


@dataclass(slots=True)
class Item:
    """One object."""

    kind: str
    group: str
    namespace: str
    name: str
    path: str
    document: Any
    chunk: Chunk = field(repr=False)
    said: dict[str, list[_Said]] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """KIND NAMESPACE/NAME."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"

    @property
    def root(self) -> Field:
        """The whole document."""
        return Field(self, "", self.document)

    @property
    def spec(self) -> Field:
        """What it says."""
        return self.root["spec"]

    def annotations(self, *prefixes: str) -> Iterator[tuple[str, Field]]:
        """The annotations whose names begin so: the rest of the name, and the field."""
        for name, found in self.root["metadata"]["annotations"].parts():
            for prefix in prefixes:
                if name.startswith(prefix):
                    yield name.removeprefix(prefix), found
                    break

    def say(self, path: str, verdict: Verdict, message: str = "", remedy: str = "") -> None:
        """Note it once, however often it is asked for; a field that was only taken is not needed to be told twice."""
        said, now = self.said.setdefault(path, []), (verdict, message, remedy)
        if now in said or (verdict is Verdict.TAKEN and said):
            return
        if (Verdict.TAKEN, "", "") in said:
            said.remove((Verdict.TAKEN, "", ""))
        said.append(now)

    def notes(self) -> Iterator[Note]:
        """What became of everything, in the order of the document.

        For each value the nearest that was said, and of what is around it all that is not as it should be.
        """
        told: set[str] = set()
        for path in ("", *_leaves(self.document, "")):
            holders = [each for each in _own_and_above(path) if each in self.said]
            if not holders and path:
                yield self._note(path, (Verdict.LOST, UNKNOWN, LOOK))
            for holder in holders:
                if holder in told or (holder != holders[0] and not self._warns(holder)):
                    continue
                told.add(holder)
                yield from (self._note(holder, said) for said in self.said[holder])

    def _warns(self, path: str) -> bool:
        return any(verdict in (Verdict.CHANGED, Verdict.LOST) for verdict, _, _ in self.said[path])

    def _note(self, path: str, said: _Said) -> Note:
        line = first_line(self.chunk) if self.chunk.json or not path else locate_field(self.chunk, path)
        verdict, message, remedy = said
        return Note(
            place=f"{self.path}:{line}", object=self.label, field=path, verdict=verdict, message=message, remedy=remedy
        )


class Field:
    """A value in a document and its place. Whoever asks for its value has taken it."""

    __slots__ = ("_item", "path", "raw")

    def __init__(self, item: Item, path: str, raw: Any) -> None:  # noqa: ANN401 - a document may hold anything
        self._item = item
        self.path = path
        self.raw = raw

    def __bool__(self) -> bool:
        return self.raw is not None

    def __getitem__(self, key: str) -> Field:
        inner = self.raw.get(key) if isinstance(self.raw, dict) else None
        return Field(self._item, f"{self.path}.{key}" if self.path else key, inner)

    def parts(self) -> Iterator[tuple[str, Field]]:
        """The fields of a mapping."""
        for key in self.raw if isinstance(self.raw, dict) else ():
            yield str(key), self[key]

    def each(self) -> list[Field]:
        """The items of a list."""
        if self.raw is not None and not isinstance(self.raw, list):
            self._wrong("a list")
        items = self.raw if isinstance(self.raw, list) else []
        if isinstance(self.raw, list) and not items:
            self.taken()
        return [Field(self._item, f"{self.path}[{index}]", item) for index, item in enumerate(items)]

    def text(self, default: str = "") -> str:
        """A text; numbers and truth values as they are written."""
        if isinstance(self.raw, bool):
            self.taken()
            return "true" if self.raw else "false"
        if isinstance(self.raw, str | int | float):
            self.taken()
            return str(self.raw)
        return self._wrong("a text") or default

    def number(self, default: int = 0) -> int:
        """A whole number, also one that is written as a text."""
        if isinstance(self.raw, int) and not isinstance(self.raw, bool):
            self.taken()
            return self.raw
        if isinstance(self.raw, str) and _NUMBER.fullmatch(self.raw):
            self.taken()
            return int(self.raw)
        self._wrong("a whole number")
        return default

    def flag(self, *, default: bool = False) -> bool:
        """True or false, also as a text."""
        if isinstance(self.raw, bool) or self.raw in ("true", "false", "True", "False"):
            self.taken()
            return self.raw in (True, "true", "True")
        self._wrong("true or false")
        return default

    def texts(self) -> list[str]:
        """A list of texts."""
        return [text for item in self.each() if (text := item.text())]

    def pairs(self) -> list[tuple[str, str]]:
        """A mapping of texts."""
        if self.raw is not None and not isinstance(self.raw, dict):
            self._wrong("a mapping")
        if self.raw == {}:
            self.taken()
        return [(key, found.text()) for key, found in self.parts()]

    def words(self) -> list[str]:
        """A text with commas between."""
        return [word for part in self.text().split(",") if (word := part.strip())]

    def taken(self) -> None:
        """Its value is used as it is."""
        if self.raw is not None:
            self._item.say(self.path, Verdict.TAKEN)

    def changed(self, message: str, remedy: str = "") -> None:
        """It is used, and means something else."""
        if self.raw is not None:
            self._item.say(self.path, Verdict.CHANGED, message, remedy)

    def lost(self, message: str, remedy: str) -> None:
        """Nothing here does that."""
        if self.raw is not None:
            self._item.say(self.path, Verdict.LOST, message, remedy)

    def aside(self, message: str) -> None:
        """It need not be said here."""
        if self.raw is not None:
            self._item.say(self.path, Verdict.ASIDE, message)

    def _wrong(self, wanted: str) -> str:
        if self.raw is not None:
            self.lost(f"Wanted is {wanted}.", "Mend it there first.")
        return ""


_BY_CLUSTER = ("creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "finalizers", "generation")
_BY_CLUSTER_TOO = ("generateName", "managedFields", "ownerReferences", "resourceVersion", "selfLink", "uid")
_OWN_ANNOTATIONS = ("kubectl.kubernetes.io/", "meta.helm.sh/", "argocd.argoproj.io/", "kustomize.toolkit.fluxcd.io/")


def read_items(paths: Iterable[Path]) -> list[Item]:
    """Every object of the files and directories; raises ReadError."""
    paths = list(paths)
    missing = next((path for path in paths if not path.exists()), None)
    if missing is not None:
        raise ReadError(f"{missing} is not there: name a file or a directory of manifests.")
    return [item for path in list_tree(paths).files for item in _read_file(path)]


def _read_file(path: str) -> Iterator[Item]:
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ReadError(f"{path}:1: The file can't be read: {error.strerror}.") from None
    for chunk in split_documents(content, as_json=path.endswith(".json")):
        try:
            document = decode_document(chunk)
        except DocumentError as error:
            raise ReadError(f"{path}:{chunk.line + error.line - 1}: {error.message}") from None
        yield from _objects(path, chunk, document)


def _objects(path: str, chunk: Chunk, document: Any) -> Iterator[Item]:  # noqa: ANN401
    if not isinstance(document, dict):
        raise ReadError(f"{path}:{first_line(chunk)}: The document is not a mapping.")
    if str(document.get("kind")).endswith("List") and isinstance(document.get("items"), list):
        # Inside a list fields have other places in the file than their paths say: the list's own line is told.
        flat = Chunk(text=b"{}", line=first_line(chunk), json=True)
        for item in document["items"]:
            yield from _objects(path, flat, item)
        return
    if not isinstance(document.get("kind"), str):
        raise ReadError(f"{path}:{first_line(chunk)}: kind: A kind is required.")
    metadata = document.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        raise ReadError(f"{path}:{first_line(chunk)}: metadata: Wanted is a mapping.")
    meta: dict[str, Any] = metadata if isinstance(metadata, dict) else {}
    item = Item(
        kind=str(document.get("kind", "")),
        group=str(document.get("apiVersion", "")).rpartition("/")[0],
        namespace=str(meta.get("namespace") or "default"),
        name=str(meta.get("name", "")),
        path=path,
        document=document,
        chunk=chunk,
    )
    _take_metadata(item)
    yield item


def _take_metadata(item: Item) -> None:
    root = item.root
    for key in ("apiVersion", "kind"):
        root[key].taken()
    root["status"].aside("The cluster writes it.")
    meta = root["metadata"]
    for key in ("name", "namespace"):
        meta[key].taken()
    for key in (*_BY_CLUSTER, *_BY_CLUSTER_TOO):
        meta[key].aside("The cluster writes it.")
    for empty in (meta, meta["annotations"]):
        if empty.raw == {}:
            empty.taken()
    meta["labels"].aside("Labels are of whoever applies the result.")
    for name, found in meta["annotations"].parts():
        if name.startswith(_OWN_ANNOTATIONS):
            found.aside("Tools write it for themselves.")


def _leaves(value: object, path: str) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{index}]")
    elif value is not None:
        yield path


def _own_and_above(path: str) -> Iterator[str]:
    """The path, and those of what it is in; keys may have dots and brackets of their own, so all cuts are tried."""
    yield path
    while path:
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
        yield path
