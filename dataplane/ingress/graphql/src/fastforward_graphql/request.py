"""GraphQL over HTTP: requests to what they ask (https://graphql.github.io/graphql-over-http/draft/).

In: an HTTP request. Out: Call, or a BadRequestError with the status that the specification asks for. Called by the
adapter.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from fastforward_kit.http import EVENT_STREAM, Request
from fastforward_kit.text import is_text

from .execution import Asked

GRAPHQL, JSON = "application/graphql-response+json", "application/json"
EVENTS = EVENT_STREAM
MAX_BODY_BYTES = 1 << 20
_UTF8 = frozenset({"", "utf-8", "utf8"})
_DIGEST_LENGTH = 64


class BadRequestError(Exception):
    """What is no GraphQL request."""

    def __init__(self, status: int, detail: str, *headers: tuple[str, str]) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers


@dataclass(frozen=True, slots=True)
class Call:
    """The operations of a request, and in which media type they are answered."""

    asked: tuple[Asked, ...]
    media_type: str
    batched: bool
    safe: bool
    """Whether it may only read: a GET."""


def read_request(asked: Request) -> Call:
    """Returns what a request asks. Raises BadRequestError."""
    if asked.method not in {"GET", "POST"}:
        raise BadRequestError(405, "GraphQL is asked by GET or POST", ("allow", "GET, POST"))
    media_type = choose_media_type(asked.header("accept"))
    if asked.method == "GET":
        return Call((_read_query(asked.target.partition("?")[2]),), media_type, batched=False, safe=True)
    parsed = _read_body(asked)
    if isinstance(parsed, list):
        if not parsed:
            raise BadRequestError(400, "A batch has operations")
        if media_type == EVENTS:
            raise BadRequestError(406, f"Events are of one operation: a batch is answered as {JSON}")
        return Call(tuple(map(read_parameters, parsed)), media_type, batched=True, safe=False)
    return Call((read_parameters(parsed),), media_type, batched=False, safe=False)


def choose_media_type(accept: str) -> str:
    """Returns the media type of the answer: the one that the client likes best. Raises BadRequestError for none."""
    best, chosen = 0.0, ""
    for part in (accept or JSON).lower().split(","):
        name, *parameters = (each.strip() for each in part.split(";"))
        quality = _quality(parameters)
        wanted = {"*/*": JSON, "application/*": JSON}.get(name, name)
        if wanted in {GRAPHQL, JSON, EVENTS} and quality > best:
            best, chosen = quality, wanted
    if not chosen:
        raise BadRequestError(406, f"Answers are {GRAPHQL}, {JSON} or {EVENTS}")
    return chosen


def _quality(parameters: list[str]) -> float:
    try:
        return float(next((each[2:] for each in parameters if each.startswith("q=")), "1"))
    except ValueError:
        return 0.0


def _read_query(query: str) -> Asked:
    try:
        told: dict[str, Any] = dict(parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=20))
        for name in ("variables", "extensions"):
            if told.get(name):
                told[name] = json.loads(told[name])
            else:
                told.pop(name, None)
    except (ValueError, RecursionError) as error:
        raise BadRequestError(400, "The query is malformed") from error
    return read_parameters(told)


def _read_body(asked: Request) -> object:
    kind, _, parameters = asked.header("content-type").partition(";")
    charset = parameters.strip().lower().removeprefix("charset=").strip('"')
    if kind.strip().lower() != JSON or charset not in _UTF8:
        raise BadRequestError(415, f"A request is {JSON} in UTF-8")
    if len(asked.body) > MAX_BODY_BYTES:
        raise BadRequestError(413, f"A request has at most {MAX_BODY_BYTES} bytes")
    try:
        return json.loads(asked.body.decode())
    except (ValueError, RecursionError) as error:
        raise BadRequestError(400, "The content is no JSON") from error


def read_parameters(parsed: object) -> Asked:
    """Returns what parameters say, of a body, a query or a frame. Raises BadRequestError."""
    if not isinstance(parsed, dict):
        raise BadRequestError(400, "A request is a JSON object")
    query, operation = parsed.get("query"), parsed.get("operationName")
    variables, digest = parsed.get("variables"), _read_digest(parsed.get("extensions"))
    if not isinstance(query, str | None) or (query is None and digest is None):
        raise BadRequestError(400, "The parameter query is a document")
    if not isinstance(operation, str | None):
        raise BadRequestError(400, "The parameter operationName is a string")
    if not isinstance(variables, dict | None):
        raise BadRequestError(400, "The parameter variables is an object")
    if query is not None and not is_text(query):
        raise BadRequestError(400, "The document is no text")
    return Asked(query, operation or "", variables or {}, digest)


def _read_digest(extensions: object) -> str | None:
    """The digest of a persisted document."""
    if extensions is None:
        return None
    if not isinstance(extensions, dict):
        raise BadRequestError(400, "The parameter extensions is an object")
    persisted = extensions.get("persistedQuery")
    if persisted is None:
        return None
    digest = persisted.get("sha256Hash") if isinstance(persisted, dict) else None
    if not isinstance(digest, str) or len(digest) != _DIGEST_LENGTH or persisted.get("version") != 1:
        raise BadRequestError(400, "A persisted query has version 1 and sha256Hash")
    return digest.lower()
