"""Which document of which file is which object: the state of the file provider, without any file access of its own.

In: contents of files that changed. Out: Batches. Called by file. Only digests are kept, not models: a document that
did not change is not decoded again, wherever in its file it moves. Where two documents are the same object, the one
that is in force stays so, over a restart as well; the first by path wins where none is. An object whose document can't
be read any more is kept and told so, never taken for deleted.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

import fastforward_crds as crds
from fastforward_compiler.problem import ObjectRef, Problem, Reason, problem

from fastforward_operator.kept import Kept
from fastforward_operator.multimap import Multimap

from . import Batch, Source
from .document import Chunk, DocumentError, decode_document, first_line, locate_field, split_documents
from .identity import claimed_ref, guess_ref, is_foreign

DOCUMENT = "Document"
"""Kind under which documents are reported that are no object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A file whose content can't be had."""

    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What is known of an object from before the restart."""

    generation: int
    spec: bytes
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Good:
    """An object that was read, to be kept as its last good version."""

    remembered: Remembered
    text: bytes = field(repr=False)
    json: bool = False


@dataclass(slots=True, kw_only=True)
class Piece:
    """One document of one file."""

    digest: bytes
    line: int
    start: int = 0
    size: int = 0
    """Its bytes in the file."""
    ref: ObjectRef | None = None
    spec: bytes = b""
    """Digest of all but metadata and status."""
    error: str = ""
    """Why it can't be read, or why it is no object."""
    error_line: int = 0
    chunk: Chunk | None = None
    """Only while an update is at work."""
    value: Any = None
    found: dict[str, int] | None = None
    """By field: lines after the first, of those that were asked for."""


@dataclass(slots=True, kw_only=True)
class Delivered:
    """What was last told of an object."""

    digest: bytes
    spec: bytes
    generation: int
    source: Source


@dataclass(slots=True)
class Claims:
    """Fed with contents; `read` gets the content of a file when a claim of an unchanged file comes to its right."""

    read: Callable[[str], bytes | Unreadable | None]
    remembered: dict[ObjectRef, Remembered] = field(default_factory=dict)
    good: dict[ObjectRef, Good | None] = field(default_factory=dict)
    """What to keep as last good versions (None: to forget); emptied by the caller."""
    _files: dict[str, tuple[Piece, ...]] = field(default_factory=dict)
    _claims: Multimap[ObjectRef, tuple[str, int]] = field(default_factory=Multimap)
    _delivered: dict[ObjectRef, Delivered] = field(default_factory=dict)
    _held: defaultdict[str, set[ObjectRef]] = field(default_factory=lambda: defaultdict(set))
    """By path: objects that are kept because a document there can't be read."""
    _documents: set[ObjectRef] = field(default_factory=set)
    _world: int = 0

    @property
    def paths(self) -> Iterable[str]:
        """Files that are known."""
        return self._files.keys()

    def update(self, contents: Mapping[str, bytes | Unreadable | None]) -> Batch:
        """What new contents change; None for a file that is gone."""
        touched: set[ObjectRef] = set()
        documents: set[ObjectRef] = set()
        for path, content in contents.items():
            self._replace(path, content, touched, documents)
        changes = Kept()
        sources: dict[ObjectRef, Source] = {}
        for ref in touched:
            self._settle(ref, changes, sources)
            documents |= {self._document_ref(*claim) for claim in self._claims.get(ref)}
        problems = self._judge_documents(documents)
        sources.update((document, self.document_source(document)) for document, found in problems.items() if found)
        for path in contents:
            for piece in self._files.get(path, ()):
                piece.chunk = piece.value = None
        return Batch(changes=changes, sources=sources, documents=problems, world=f"{self._world:032x}")

    def line_of(self, source: Source, field: str) -> int:
        """Line of a field of a document, or of what is wrong in it; its file is read again once for each field."""
        pieces = self._files.get(source.path, ())
        piece = pieces[source.index] if source.index < len(pieces) else None
        if piece is not None and piece.error_line:
            return piece.error_line
        if piece is None or not field:
            return source.line
        found = piece.found or {}
        if field not in found:
            if (chunk := self._read_again(piece, source)) is None:
                return source.line
            piece.found = found = {**found, field: locate_field(chunk, field) - first_line(chunk)}
        return piece.line + found[field]

    def _replace(
        self, path: str, content: bytes | Unreadable | None, touched: set[ObjectRef], documents: set[ObjectRef]
    ) -> None:
        touched |= self._held.pop(path, set())
        old = self._files.get(path, ())
        new = _read_pieces(path, content, old) if content is not None else ()
        documents.update(self._document_ref(path, index) for index in range(max(len(old), len(new))))
        before, after = ({(each.ref, index) for index, each in enumerate(pieces) if each.ref} for pieces in (old, new))
        touched |= {ref for ref, _ in before | after}
        for ref, index in before - after:
            self._claims.discard(ref, (path, index))
        for ref, index in after - before:
            self._claims.add(ref, (path, index))
        if content is None:
            self._files.pop(path, None)
        else:
            self._files[path] = new

    def _settle(self, ref: ObjectRef, changes: Kept, sources: dict[ObjectRef, Source]) -> None:
        """Decides which document is the object, and tells what is new about it."""
        delivered = self._delivered.get(ref)
        claims = self._claims.get(ref)
        if len(claims) == 0:
            if delivered is not None:
                self._lose(ref, delivered, changes)
            return
        path, index = self._winner(ref)
        piece = self._files[path][index]
        source = Source(path=path, line=piece.line, index=index)
        if delivered is None or delivered.source != source:
            sources[ref] = source
        else:
            source = delivered.source
        if delivered is not None and delivered.digest == piece.digest:
            delivered.source = source
            return
        changes[ref] = self._deliver(ref, piece, source)

    def _winner(self, ref: ObjectRef) -> tuple[str, int]:
        """The document that is the object: the one that was it before, or in the same file, or the first by path."""
        claims, delivered, remembered = self._claims.get(ref), self._delivered.get(ref), self.remembered.get(ref)
        held = delivered.source.path if delivered else remembered.path if remembered else ""
        there = [claim for claim in claims if claim[0] == held]
        same = [c for c in there if delivered is not None and self._files[c[0]][c[1]].digest == delivered.digest]
        return min(same or there or claims)

    def _deliver(self, ref: ObjectRef, piece: Piece, source: Source) -> crds.Resource | crds.Invalid:
        generation = self._next_generation(ref, piece.spec)
        self._count_world(ref, self._delivered.get(ref))
        delivered = Delivered(digest=piece.digest, spec=piece.spec, generation=generation, source=source)
        self._delivered[ref] = delivered
        self._count_world(ref, delivered)
        if piece.error:
            return _invalid(ref, generation, piece.error)
        value, chunk = self._value_of(piece, source)
        if chunk is None:
            # It changed since it was seen: the event about that is on its way.
            delivered.digest = b""
            return _invalid(ref, generation, "Its file changed while it was read.")
        piece.value = None
        if isinstance(value, dict) and isinstance(value.get("metadata"), dict):
            given = value["metadata"].get("generation")
            if not (isinstance(given, int) and given > 0):
                value = {**value, "metadata": {**value["metadata"], "generation": generation}}
        resource = crds.parse_resource(value)
        if isinstance(resource, crds.Resource):
            remembered = Remembered(generation=generation, spec=piece.spec, path=source.path)
            self.remembered[ref] = remembered
            self.good[ref] = Good(remembered=remembered, text=chunk.text, json=chunk.json)
        return resource

    def _lose(self, ref: ObjectRef, delivered: Delivered, changes: Kept) -> None:
        """No document is the object any more: it is gone, unless a document where it was can't be read."""
        if (unread := self._unread_at(delivered.source.path)) is not None:
            place, piece = unread
            self._held[place].add(ref)
            if delivered.digest != piece.digest:
                self._count_world(ref, delivered)
                delivered.digest = piece.digest
                self._count_world(ref, delivered)
                changes[ref] = _invalid(ref, delivered.generation, f"Its document can't be found: {piece.error}")
            return
        self._count_world(ref, delivered)
        del self._delivered[ref]
        self.remembered.pop(ref, None)
        self.good[ref] = None
        changes[ref] = None

    def _unread_at(self, path: str) -> tuple[str, Piece] | None:
        """A document that can't be read and may be anything, of the file, or in place of a folder that holds it."""
        for place in (path, *map(str, PurePath(path).parents)):
            for piece in self._files.get(place, ()):
                if piece.ref is None and piece.error and not piece.spec:
                    return place, piece
        return None

    def hold(self, ref: ObjectRef) -> crds.Invalid | None:
        """After a restart: an object of which only the memory is left, because its file can't be read; else None."""
        known = self.remembered[ref]
        unread = self._unread_at(known.path)
        if unread is None:
            return None
        place, piece = unread
        self._held[place].add(ref)
        source = Source(path=known.path, line=piece.line)
        delivered = Delivered(digest=piece.digest, spec=known.spec, generation=known.generation, source=source)
        self._delivered[ref] = delivered
        self._count_world(ref, delivered)
        return _invalid(ref, known.generation, f"Its document can't be found: {piece.error}")

    def forgotten(self) -> tuple[ObjectRef, ...]:
        """Objects that are remembered, but not there."""
        return tuple(ref for ref in self.remembered if ref not in self._delivered)

    def _next_generation(self, ref: ObjectRef, spec: bytes) -> int:
        delivered, remembered = self._delivered.get(ref), self.remembered.get(ref)
        last = delivered or remembered
        if last is None:
            return 1
        return last.generation if last.spec == spec else last.generation + 1

    def _value_of(self, piece: Piece, source: Source) -> tuple[Any, Chunk | None]:
        """The decoded document and its text; read again when its file did not change in this update."""
        if piece.chunk is None:
            chunk = self._read_again(piece, source)
            return (decode_document(chunk) if chunk is not None else None), chunk
        if piece.value is None:
            piece.value = decode_document(piece.chunk)
        return piece.value, piece.chunk

    def _read_again(self, piece: Piece, source: Source) -> Chunk | None:
        """The text of a document, unless its file changed since it was seen."""
        content = self.read(source.path)
        text = content[piece.start : piece.start + piece.size] if isinstance(content, bytes) else b""
        if _digest(text.strip()) != piece.digest:
            return None
        return Chunk(text=text, line=1, json=source.path.endswith(".json"))

    def _judge_documents(self, documents: Iterable[ObjectRef]) -> dict[ObjectRef, tuple[Problem, ...]]:
        """Problems of documents that are no object; empty for those that had some and are mended."""
        judged = {}
        for document in documents:
            problems = self._judge(document)
            if problems or document in self._documents:
                judged[document] = problems
            (self._documents.add if problems else self._documents.discard)(document)
        return judged

    def _judge(self, document: ObjectRef) -> tuple[Problem, ...]:
        path, _, number = document.name.rpartition("#")
        pieces = self._files.get(path, ())
        index = int(number) - 1
        if index >= len(pieces):
            return ()
        piece = pieces[index]
        if piece.ref is None:
            return (problem(document, Reason.INVALID, "", piece.error),)
        winner = self._winner(piece.ref)
        if winner == (path, index):
            return ()
        line = self._files[winner[0]][winner[1]].line
        message = f"{piece.ref} is already in {winner[0]}:{line}, which counts."
        return (problem(document, Reason.DUPLICATE, "", message),)

    def document_source(self, document: ObjectRef) -> Source:
        """Where a document is."""
        path, _, number = document.name.rpartition("#")
        index = int(number) - 1
        pieces = self._files.get(path, ())
        piece = pieces[index] if index < len(pieces) else None
        line = (piece.error_line or piece.line) if piece else 1
        return Source(path=path, line=line, index=index)

    @staticmethod
    def _document_ref(path: str, index: int) -> ObjectRef:
        return ObjectRef(kind=DOCUMENT, namespace="", name=f"{path}#{index + 1}")

    def _count_world(self, ref: ObjectRef, delivered: Delivered | None) -> None:
        """Adds an object to the hash of the world, or takes it out again: order does not matter."""
        if delivered is not None:
            text = f"{ref}\0{delivered.generation}\0".encode() + delivered.digest
            self._world ^= int.from_bytes(hashlib.blake2b(text, digest_size=16).digest())


def _read_pieces(path: str, content: bytes | Unreadable, old: tuple[Piece, ...]) -> tuple[Piece, ...]:
    if isinstance(content, Unreadable):
        return (Piece(digest=_digest(content.message.encode()), line=1, error=content.message, error_line=1),)
    known = {piece.digest: piece for piece in old}
    refs = {piece.ref: piece.ref for piece in old}
    pieces = []
    for chunk in split_documents(content, as_json=path.endswith(".json")):
        digest = _digest(chunk.text.strip())
        same = known.pop(digest, None)
        if same is None:
            piece = _read_piece(chunk, digest)
            # The reference by which the object is known already, not a second one like it.
            piece.ref = refs.get(piece.ref, piece.ref)
            pieces.append(piece)
        else:
            same.error_line += first_line(chunk) - same.line if same.error_line else 0
            same.line, same.start, same.size, same.chunk = first_line(chunk), chunk.start, len(chunk.text), chunk
            pieces.append(same)
    return tuple(pieces)


def _read_piece(chunk: Chunk, digest: bytes) -> Piece:
    piece = Piece(digest=digest, line=first_line(chunk), start=chunk.start, size=len(chunk.text), chunk=chunk)
    try:
        value = decode_document(chunk)
    except DocumentError as error:
        piece.error, piece.error_line = error.message, chunk.line + error.line - 1
        piece.ref = guess_ref(chunk.text)
        return piece
    piece.value, piece.ref = value, claimed_ref(value)
    if isinstance(value, dict):
        content = {key: item for key, item in value.items() if key not in ("metadata", "status")}
        piece.spec = _digest(json.dumps(content, sort_keys=True).encode())
    if piece.ref is None:
        piece.error, wrong = _why_no_object(value)
        piece.error_line = locate_field(chunk, wrong)
        # A torn file may end anywhere, and a wrong kind or name may be a slip of the pen: then what was here is not
        # gone. What is clearly somebody else's keeps nothing.
        piece.spec = piece.spec if is_foreign(value) else b""
    return piece


def _why_no_object(value: object) -> tuple[str, str]:
    """The message, and the first field that it is about."""
    found = crds.parse_resource(value)
    if isinstance(found, crds.Invalid):
        said = " ".join(f"{e.field}: {e.message}" if e.field else e.message for e in found.errors)
        return said, found.errors[0].field
    return "metadata.name: A name of lower-case letters, digits, - and . is required.", "metadata.name"


def _invalid(ref: ObjectRef, generation: int, message: str) -> crds.Invalid:
    return crds.Invalid(
        kind=ref.kind,
        namespace=ref.namespace,
        name=ref.name,
        generation=generation,
        errors=(crds.FieldError(field="", message=message),),
    )


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()
