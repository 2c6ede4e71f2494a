"""Takes out of texts and values what nobody else is to read.

In: secrets that are known, texts, values of JSON. Out: the same without secrets. Called by collect. Three nets, each
alone enough for most: whole values of what is known to be secret, wherever they stand and however they are written;
fields and headers by their names; what looks like credentials. Better too much is taken out than too little.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from .jsontexts import texts_of

REDACTED = "[redacted]"
_LEAST = 6
"""Characters of a secret that is looked for everywhere; shorter ones are parts of words."""
_LEAST_INNER = 16
"""The same inside a JSON text, which also holds names."""
_SHORT = 200
_MOST_SHORT = 100_000
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_ABOUT = ("apiVersion", "kind", "metadata", "type", "immutable")
"""Fields of a Secret that do not hold what is secret; all others may: `stringdata` is written quickly."""
_HEADER = (
    r"(?:proxy-)?authorization|(?:set-)?cookie|x-api-key|api-?key|x-auth-token|x-access-token|x-csrf-token"
    r"|x-amz-security-token"
)
_WORD = r"pass(?:word|wd|phrase)|secret|token|(?:api|private|access|signing|encryption)[-_]?key|pepper|credential"
_FIELD = re.compile(rf"(?i)^(?:{_HEADER}|.*(?:{_WORD}).*)$")
_HARMLESS = re.compile(r"(?i)(?:names?|refs?|endpoint|ur[il]|path|headers?|prefix|status|type|version|count|seconds)$")
"""Ends of names of fields that say something about a secret, and not the secret."""
_LABELS = ("name", "key", "header")
_VALUE = re.compile(r"(?i)^(?:raw_?)?values?$|[a-z]_?match$")
"""Fields that stand beside such a label and say what it has: of pairs, and of what Envoy compares headers with."""
_NAMED_HEADER = re.compile(rf"(?i)^(?:{_HEADER})$")
_KEY = rf"[\w-]{{0,40}}(?:{_WORD})(?:[-_]?(?:key|value))?"
_QUOTED = r"(?:(\\{1,7}\")(?:\\{3}.|\\[^\"]|[^\"\\])+|(\")(?:\\.|[^\"\\])+|(\\{0,7}')(?:''|[^'\r\n])+)"
"""What opens a text in quotes, and the text: in a JSON text within a JSON text, in JSON, in YAML and in shells."""
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), REDACTED),
    # The same in base64: PRIVATE, RSA, EC, ENCRYPTED, OPENSSH.
    (
        re.compile(r"LS0tLS1CRUdJTi(?:BQUklWQVRF|BSU0Eg|BFQyB|BFTkNSWVBURUQg|BPUEVOU1NI)[A-Za-z0-9+/=\s]*"),
        REDACTED,
    ),
    (re.compile(r"\b(ffk_[A-Za-z0-9]+_)[A-Za-z0-9_-]+"), rf"\1{REDACTED}"),
    # Each run of characters is gone through once: clients send long ones, and the log has them.
    (
        re.compile(
            r"(?<![A-Za-z0-9_-])((?:(?!eyJ)[A-Za-z0-9_-])*+)"
            r"eyJ[A-Za-z0-9_-]{5,}+\.[A-Za-z0-9_-]{5,}+(?:\.[A-Za-z0-9_-]*+){1,3}"
        ),
        rf"\1{REDACTED}",
    ),
    # A header to the end of its line, or of the text in quotes that it stands in: in a="b" and O'Reilly nothing ends.
    (
        re.compile(
            rf"(?is)(\b(?:{_HEADER})[ \t]*[:=][ \t]*)"
            rf"(?:{_QUOTED}|(?![\[{{\"'])(?:\\.|=\"[^\"\r\n]*\"|(?<=\w)'(?=\w)|[^\r\n\"'\\])+)"
        ),
        rf"\1\2\3\4{REDACTED}",
    ),
    (re.compile(r"(?i)\b(bearer|basic|digest|negotiate)(\s+)[A-Za-z0-9._~+/=-]{6,}"), rf"\1\2{REDACTED}"),
    (re.compile(r"://[^\s/?#\"<>]+@"), f"://{REDACTED}@"),
    # Whatever a query carries: any of its parameters may be a credential. It ends as an address or a JSON text.
    (re.compile(r"([?&][^=&?\s\"]+=)(?:\\.|[^&\s\"\\])+"), rf"\1{REDACTED}"),
    # Private members of a key (RFC 7518), also where the quotes are escaped.
    (re.compile(r"(\\?\"(?:d|p|q|dp|dq|qi|k)\\?\"\s*:\s*\\?\")[A-Za-z0-9_-]{16,}"), rf"\1{REDACTED}"),
    (
        re.compile(rf"(?is)(\\{{0,7}}[\"'](?:{_HEADER}|{_KEY})\\{{0,7}}[\"']\s{{0,40}}:\s{{0,40}}){_QUOTED}"),
        rf"\1\2\3\4{REDACTED}",
    ),
    # A name beside its value, in JSON and in YAML.
    (
        re.compile(
            rf"(?is)(\b(?:name|key|header)(?:\\{{0,7}}[\"'])?\s{{0,9}}:\s{{0,9}}(?:\\{{0,7}}[\"'])?(?:{_HEADER}|{_KEY}[\w-]{{0,40}})"
            rf"(?:\\{{0,7}}[\"'])?\s{{0,40}},?\s{{0,40}}(?:\\{{0,7}}[\"'])?(?:raw_?)?value(?:\\{{0,7}}[\"'])?\s{{0,9}}:\s{{0,9}})"
            rf"(?:{_QUOTED}|(?![\[{{\"'])[^\s\"',;&]+)"
        ),
        rf"\1\2\3\4{REDACTED}",
    ),
    # What a line of YAML or of properties holds, also a block of lines that are further in; a.b: begins a sentence.
    (
        re.compile(
            rf"(?im)^(([ \t]*)(?:- +)?(?:{_KEY}[ \t]*:|[\w.-]{{0,40}}(?:{_WORD})[ \t]*=)[ \t]*)(?![\[{{\"'\s])"
            rf"(?:[|>][^\r\n]*(?:\r?\n(?:\2[ \t]+[^\r\n]+|[ \t]*$))*|[^\r\n]+)"
        ),
        rf"\1{REDACTED}",
    ),
    # Within a line one word: it may be a sentence. The colon is not that of HOST:PORT.
    (
        re.compile(
            rf"(?is)(\b{_KEY}(?:\\{{0,7}}[\"'])?[ \t]*(?:=|:(?!:|\d{{2,5}}(?![\w.-])))[ \t]*)"
            rf"(?:{_QUOTED}|(?![\[{{\"']|null\b|true\b|false\b)[^\s\"',;&]+)"
        ),
        rf"\1\2\3\4{REDACTED}",
    ),
    # Redis has no sign between.
    (
        re.compile(rf"(?is)(\b(?:requirepass|masterauth|auth-pass[ \t]+\S+)[ \t]+)(?:{_QUOTED}|(?!\")\S+)"),
        rf"\1\2\3\4{REDACTED}",
    ),
)
Json = Mapping[str, Any]


class Scrubber:
    """Knows secrets, and takes them out."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._names: set[str] = set()
        self._wanted: dict[str, list[str]] | None = None
        """What is looked for by its first characters, longest first."""
        self._short: dict[str, str] = {}
        """What has been scrubbed: configurations say the same words ten thousand times."""

    @property
    def known(self) -> frozenset[str]:
        """Every way in which a known secret may be written."""
        return frozenset(self._known - self._names)

    def spare(self, *names: str) -> None:
        """These are names of objects: a Secret that repeats one does not make it a secret."""
        self._names.update(names)
        self._wanted = None

    def learn(self, secret: str | bytes) -> None:
        """Take this out wherever it stands: as it is, line by line, and in the usual ways of writing it."""
        raw = secret.encode(errors="replace") if isinstance(secret, str) else secret
        text = raw.decode(errors="replace").strip()
        for each in (text, *(line for line in text.splitlines() if len(line) >= _LEAST_INNER)):
            if len(each) >= _LEAST and not each.startswith("-----"):
                self._known.update(_written(each))
        if len(raw) >= _LEAST:
            self._known.update(_encoded(raw))
        for each in _inner(text):
            self._known.update(_written(each))
        self._wanted = None

    def learn_document(self, document: Json) -> None:
        """What a Secret holds; of others nothing."""
        if not _is_kind(document, "secret"):
            return
        for field in document.keys() - set(_ABOUT):
            for text in _leaves(document[field]):
                self.learn(_decoded(text) if field == "data" else text)

    def scrub(self, text: str) -> str:
        """The text without them."""
        if self._wanted is None:
            self._wanted = {}
            for each in sorted(self.known, key=len, reverse=True):
                self._wanted.setdefault(each[:_LEAST], []).append(each)
            self._short.clear()
        if len(text) > _SHORT:
            return _replaced(self._wanted, text)
        if text not in self._short:
            if len(self._short) >= _MOST_SHORT:
                self._short.clear()
            self._short[text] = _replaced(self._wanted, text)
        return self._short[text]

    def clean(self, value: Any) -> Any:  # noqa: ANN401 - JSON
        """A value of JSON without them."""
        if isinstance(value, str):
            return self.scrub(value)
        if isinstance(value, list):
            return [self.clean(each) for each in value]
        if not isinstance(value, Mapping):
            return value
        header = any(_NAMED_HEADER.match(str(value.get(field, ""))) for field in ("name", "key"))
        return {
            self.scrub(str(name)): _blank(each)
            if (header and name not in ("name", "key")) or _is_secret(str(name), each) or _is_value(value, str(name))
            else self.clean(each)
            for name, each in value.items()
        }

    def clean_document(self, document: Json) -> dict[str, Any]:
        """An object: of a Secret and its like only the names of what it holds."""
        secret = _is_kind(document, "secret")
        cleaned = {k: v if k in _ABOUT or not secret else _names_only(v) for k, v in document.items()}
        if _is_kind(document, "configmap") and "binaryData" in document:
            # What is in base64 no pattern looks into.
            cleaned["binaryData"] = _names_only(document["binaryData"])
        metadata = document.get("metadata")
        if isinstance(metadata, Mapping):
            cleaned["metadata"] = _metadata(metadata, secret=secret)
        elif secret and metadata is not None:
            cleaned["metadata"] = REDACTED
        return self.clean(cleaned)


def _replaced(wanted: Mapping[str, list[str]], text: str) -> str:
    text = _without(wanted, text)
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text


def _without(wanted: Mapping[str, list[str]], text: str) -> str:
    """One look at each place, however many secrets there are: an expression of thousands would try each of them."""
    if not wanted:
        return text
    parts, done = [], 0
    for place in [at for at in range(len(text) - _LEAST + 1) if text[at : at + _LEAST] in wanted]:
        if place >= done:
            found = next((each for each in wanted[text[place : place + _LEAST]] if text.startswith(each, place)), "")
            if found:
                parts += [text[done:place], REDACTED]
                done = place + len(found)
    return "".join((*parts, text[done:]))


def _is_secret(name: str, value: object) -> bool:
    """By the name of its field. What is no text is looked into: it may only name a secret."""
    return isinstance(value, str) and bool(_FIELD.match(name)) and not _HARMLESS.search(name)


def _is_value(pair: Json, name: str) -> bool:
    """The same where the name of the field stands beside: `{"name": "x-backend-token", "value": ...}`."""
    return bool(_VALUE.search(name)) and any(_FIELD.match(each) for each in _labels(pair))


def _labels(pair: Json) -> Iterator[str]:
    """Where Envoy compares, what it looks at stands beside: `{"input": {"typed_config": {"header_name": ...}}}`."""
    yield from (str(pair.get(label, "")) for label in _LABELS)
    looked_at = pair.get("input")
    if isinstance(looked_at, Mapping):
        config = looked_at.get("typed_config") or looked_at.get("typedConfig")
        yield from (str(each) for each in (config.values() if isinstance(config, Mapping) else ()))


def _is_kind(document: Json, kind: str) -> bool:
    """However it is written: what the API server would refuse is secret all the same."""
    return str(document.get("kind")).strip().lower() == kind


def _leaves(value: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    if isinstance(value, (Mapping, list)):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _leaves(each)
    elif value is not None:
        yield str(value)


def _decoded(text: str) -> str | bytes:
    """As it is where it is no base64."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return text


def _names_only(value: Any) -> Any:  # noqa: ANN401 - JSON
    if value is None:
        return None
    return dict.fromkeys(value, REDACTED) if isinstance(value, Mapping) else REDACTED


def _metadata(metadata: Json, *, secret: bool) -> dict[str, Any]:
    """Without what the API server and kubectl keep there of the whole object."""
    kept = {k: v for k, v in metadata.items() if k not in ("managedFields", "annotations")}
    annotations = metadata.get("annotations")
    if isinstance(annotations, Mapping):
        annotations = {k: v for k, v in annotations.items() if k != _LAST_APPLIED}
    if not bool(annotations):
        return kept
    return {**kept, "annotations": _names_only(annotations) if secret else annotations}


def _blank(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, str):
        return REDACTED
    if isinstance(value, list):
        return [_blank(each) for each in value]
    return {name: _blank(each) for name, each in value.items()} if isinstance(value, Mapping) else value


def _written(text: str) -> Iterator[str]:
    yield text
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    # JSON may say halves of characters, which can't be encoded.
    raw = text.encode(errors="replace")
    yield quote(raw, safe="")
    yield quote_plus(raw)
    yield from _encoded(raw)


def _encoded(raw: bytes) -> Iterator[str]:
    yield base64.b64encode(raw).decode()
    yield base64.urlsafe_b64encode(raw).decode().rstrip("=")
    yield raw.hex()


def _inner(text: str) -> Iterator[str]:
    """Texts inside a JSON text."""
    if text[:1] not in "{[":
        return
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return
    yield from (each for each in texts_of(value) if len(each) >= _LEAST_INNER)
