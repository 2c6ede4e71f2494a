"""YAML and JSON text to plain values, with bounds and with the line of every field.

In: the bytes of a file. Out: its documents; for each a value or a `DocumentError` with the line. Called by the file
provider and the CLI. Why not `yaml.safe_load`: one bad document must not hide its neighbours, aliases and nesting
must not multiply, a key given twice must not vanish, and a timestamp must stay the text that it is in JSON.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml
from yaml._yaml import CParser

MAX_NODES = 100_000
"""Values in one document, those behind aliases counted each time."""
MAX_DEPTH = 64

_SEPARATOR = re.compile(rb"\n---(?=[ \t\r\n]|\Z)")
"""After a line's end, not by `^`: that is six times slower. At the start of a file a separator separates nothing."""
# Directives count as comments: they say nothing of the content.
_CONTENT = re.compile(rb"^(?!%(?:YAML|TAG)\b)[ \t]*[^#\s]", re.MULTILINE)
_MARK = b"\xef\xbb\xbf"
"""What some editors put before UTF-8."""
_TRUE = frozenset(text for word in ("true", "yes", "on") for text in (word, word.title(), word.upper()))
_FALSE = frozenset(text for word in ("false", "no", "off") for text in (word, word.title(), word.upper()))
_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,18}|0o?[0-7]{1,20}|0x[0-9a-fA-F]{1,16})")
_FLOAT = re.compile(r"[-+]?([0-9]{1,40}\.[0-9]{0,40}|\.[0-9]{1,40}|[0-9]{1,40}(?=[eE]))([eE][-+]?[0-9]{1,3})?")
_NUMBER_STARTS = frozenset("-+.0123456789")
_TEMPLATE = re.compile(r"\{\{.*\}\}")
_RENDER = "Is this a template? Render it first, with `helm template` for example."
_STANDARD = "tag:yaml.org,2002:"


class DocumentError(Exception):
    """Text that is no document; `line` counts from 1 in the document's own text."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


class _FoundError(Exception):
    """Nothing is wrong: the field that is looked for is there, and the rest need not be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """The text of one document of a file."""

    text: bytes = field(repr=False)
    line: int
    """Line of the file at which it begins, from 1."""
    start: int = 0
    """Bytes of the file before it."""
    json: bool = False


def split_documents(content: bytes, *, as_json: bool) -> Iterator[Chunk]:
    """The documents of a file, without those that hold only comments."""
    line, start = 1, len(_MARK) if content.startswith(_MARK) else 0
    if as_json:
        yield Chunk(text=content[start:], line=1, start=start, json=True)
        return
    separators = [match.start() + 1 for match in _SEPARATOR.finditer(content)]
    for end in (*separators, len(content)):
        # Without the separator a document's text is the same wherever in a file it stands.
        text = content[start:end].removeprefix(b"---")
        if _CONTENT.search(text) is not None:
            yield Chunk(text=text, line=line, start=end - len(text))
        line += content.count(b"\n", start, end)
        start = end


def decode_document(chunk: Chunk) -> Any:  # noqa: ANN401 - a document may be anything
    """The value of a document; raises DocumentError."""
    return _decode_json(chunk.text) if chunk.json else _Builder(_text_of(chunk.text)).build()


def first_line(chunk: Chunk) -> int:
    """Line of the file at which the content of a document begins, after comments."""
    found = _CONTENT.search(chunk.text)
    return chunk.line + chunk.text.count(b"\n", 0, found.start()) if found else chunk.line


def locate_field(chunk: Chunk, path: str) -> int:
    """Line of a field such as `spec.rules[0].upstreams[1]`, or of the nearest part of it that is there."""
    builder = _Builder(_text_of(chunk.text), wanted=path)
    try:
        builder.build()
    except _FoundError:
        pass
    except DocumentError:
        return first_line(chunk)
    while path and path not in builder.lines:
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return chunk.line + builder.lines[path] if path else first_line(chunk)


def _text_of(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise DocumentError("The text is not UTF-8.", data.count(b"\n", 0, error.start) + 1) from None


def _decode_json(data: bytes) -> Any:  # noqa: ANN401
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) < len(pairs):
            counts = Counter(key for key, _ in pairs)
            twice = max(counts, key=lambda key: counts[key])
            raise DocumentError(f"Key {twice[:100]} is given twice.", 1)
        return value

    def refuse(text: str) -> NoReturn:
        raise DocumentError(f"{text} is no JSON value.", 1)

    try:
        return json.loads(_text_of(data), object_pairs_hook=unique, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise DocumentError(f"Not JSON: {error.msg}.", error.lineno) from None
    except ValueError:
        raise DocumentError("A number is too long.", 1) from None
    except RecursionError:
        raise DocumentError("The document is nested too deeply.", 1) from None


@dataclass(slots=True)
class _Open:
    """A collection whose end has not come yet."""

    value: Any
    path: str
    anchor: str | None
    nodes: int
    """Count of nodes before it."""
    height: int = 1
    key: str | None = None
    """In a mapping: the key whose value comes next."""


class _Builder:
    """Builds a value from the parser's events: no recursion, so no depth can exhaust the stack."""

    def __init__(self, text: str, *, wanted: str | None = None) -> None:
        self._text = text
        self._wanted = wanted
        self.lines: dict[str, int] = {}
        """Lines of fields from 0, of those before the one that is wanted, if any is."""
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int, int]] = {}
        self._nodes = 0
        self._root: Any = None

    def build(self) -> Any:  # noqa: ANN401
        try:
            return self._build()
        except DocumentError as error:
            if _TEMPLATE.search(self._text.split("\n")[error.line - 1]):
                raise DocumentError(f"{error.message} {_RENDER}", error.line) from None
            raise

    def _build(self) -> Any:  # noqa: ANN401
        try:
            parser = CParser(self._text)
            while (event := parser.get_event()) is not None:
                take = _TAKES.get(type(event))
                if take is not None:
                    take(self, event)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            words = " ".join(part for part in (error.context, error.problem) if part is not None)
            if error.problem_mark is not None and self._has_tab_at(error.problem_mark):
                words = "there is a tab where YAML takes spaces alone"
            # What is not closed is noticed at the end of the text: its last line with content is meant.
            last = self._text.rstrip().count("\n") + 1
            raise DocumentError(f"Not YAML: {words}.", min(mark.line + 1, last) if mark else 1) from None
        except yaml.reader.ReaderError as error:
            line = self._text.count("\n", 0, error.position) + 1
            raise DocumentError(f"Not YAML: {error.reason}.", line) from None
        return self._root

    def _has_tab_at(self, mark: yaml.Mark) -> bool:
        lines = self._text.split("\n")
        return mark.line < len(lines) and lines[mark.line][mark.column :].startswith("\t")

    def take_scalar(self, event: yaml.ScalarEvent) -> None:
        self._add(event, self._scalar(event), nodes=1, height=0)

    def take_mapping(self, event: yaml.MappingStartEvent) -> None:
        self._open(event, {})

    def take_sequence(self, event: yaml.SequenceStartEvent) -> None:
        self._open(event, [])

    def _scalar(self, event: yaml.ScalarEvent) -> object:
        tag = event.tag
        if tag is None or tag == "!":
            return plain_value(event.value) if event.implicit[0] and tag is None else event.value
        if tag == f"{_STANDARD}str":
            return event.value
        if tag in (f"{_STANDARD}int", f"{_STANDARD}float", f"{_STANDARD}bool", f"{_STANDARD}null"):
            return plain_value(event.value)
        return self._fail(event, f"Tag {tag[:100]} is not known.")

    def _open(self, event: yaml.CollectionStartEvent, value: object) -> None:
        if len(self._stack) >= MAX_DEPTH:
            self._fail(event, f"The document is nested deeper than {MAX_DEPTH}.")
        nodes = self._nodes
        path = self._place(event)
        self._attach(event, value)
        self._count(event, 1)
        self._stack.append(_Open(value, path, event.anchor, nodes))

    def close(self, event: yaml.Event) -> None:
        done = self._stack.pop()
        if isinstance(done.value, dict) and "<<" in done.value:
            self._merge(event, done.value)
        if done.anchor is not None:
            self._anchors[done.anchor] = (done.value, self._nodes - done.nodes, done.height)
        if self._stack:
            self._stack[-1].height = max(self._stack[-1].height, done.height + 1)

    def alias(self, event: yaml.AliasEvent) -> None:
        known = self._anchors.get(event.anchor or "")
        if known is None:
            self._fail(event, f"Alias *{str(event.anchor)[:100]} names nothing that is complete here.")
        value, nodes, height = known
        if len(self._stack) + height > MAX_DEPTH:
            self._fail(event, f"The document is nested deeper than {MAX_DEPTH}.")
        self._add(event, value, nodes=nodes, height=height)

    def _add(self, event: yaml.NodeEvent, value: object, *, nodes: int, height: int) -> None:
        self._count(event, nodes)
        top = self._stack[-1] if self._stack else None
        if top is not None and isinstance(top.value, dict) and top.key is None:
            self._begin_key(event, top, value)
            return
        self._place(event)
        self._attach(event, value)
        if top is not None:
            top.height = max(top.height, height + 1)
        if event.anchor is not None and not isinstance(event, yaml.AliasEvent):
            self._anchors[event.anchor] = (value, nodes, height)

    def _begin_key(self, event: yaml.Event, top: _Open, value: object) -> None:
        if isinstance(value, (dict, list)):
            self._fail(event, "A key has to be a word.")
        key = json.dumps(value) if value is None or isinstance(value, bool) else str(value)
        if key in top.value:
            self._fail(event, f"Key {key[:100]} is given twice.")
        top.key = key
        if self._wanted is not None:
            self._note(_join(top.path, key), event)

    def _attach(self, event: yaml.Event, value: object) -> None:
        if not self._stack:
            self._root = value
            return
        top = self._stack[-1]
        if isinstance(top.value, list):
            top.value.append(value)
        elif top.key is None:
            self._fail(event, "A key has to be a word.")
        else:
            top.value[top.key] = value
            top.key = None

    def _place(self, event: yaml.Event) -> str:
        """Path of the value that comes now."""
        if self._wanted is None or not self._stack:
            return ""
        top = self._stack[-1]
        if top.key is not None:
            return _join(top.path, top.key)
        path = f"{top.path}[{len(top.value)}]"
        self._note(path, event)
        return path

    def _note(self, path: str, event: yaml.Event) -> None:
        self.lines[path] = _line(event)
        if path == self._wanted:
            raise _FoundError

    def _merge(self, event: yaml.Event, value: dict[str, Any]) -> None:
        """YAML 1.1 merge keys: what is given here wins, then earlier mappings."""
        merged = value.pop("<<")
        for other in merged if isinstance(merged, list) else [merged]:
            if not isinstance(other, dict):
                self._fail(event, "Only mappings can be merged.")
            for key, item in other.items():
                value.setdefault(key, item)

    def _count(self, event: yaml.Event, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            self._fail(event, f"The document holds more than {MAX_NODES} values, aliases counted each time.")

    @staticmethod
    def _fail(event: yaml.Event, message: str) -> NoReturn:
        raise DocumentError(message, _line(event) + 1)


_TAKES: dict[type[yaml.Event], Callable[[_Builder, Any], None]] = {
    yaml.ScalarEvent: _Builder.take_scalar,
    yaml.MappingStartEvent: _Builder.take_mapping,
    yaml.MappingEndEvent: _Builder.close,
    yaml.SequenceStartEvent: _Builder.take_sequence,
    yaml.SequenceEndEvent: _Builder.close,
    yaml.AliasEvent: _Builder.alias,
}
"""What each event does; a table, because a chain of tests costs as much as the rest."""


def _line(event: yaml.Event) -> int:
    return event.start_mark.line if event.start_mark is not None else 0


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def plain_value(text: str) -> object:
    """What an unquoted scalar means (YAML 1.1 as Kubernetes reads it; no dates, no base-60 numbers)."""
    if text in _NULL:
        return None
    if text[0] in _NUMBER_STARTS:
        return _number(text)
    if text in _TRUE:
        return True
    return False if text in _FALSE else text


def _number(text: str) -> object:
    if _INTEGER.fullmatch(text):
        digits = text.lstrip("+-")
        if len(digits) > 1 and digits[0] == "0":
            base = 16 if digits[1] == "x" else 8
            value = int(digits[2:] if digits[1] in "xo" else digits, base)
            return -value if text[0] == "-" else value
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
