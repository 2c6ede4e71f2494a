"""Frames: what a client may say, and how it is answered. JSON texts, each an object with an `id` of the client's.

In: texts. Out: what is asked, or why a text is no frame; texts for replies, errors and events. Called by session.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Container
from dataclasses import dataclass
from typing import Any, NoReturn

from fastforward_kit.text import is_text
from fastforward_pipeline.message import Answered, Failed, Operation, error_status, is_json
from fastforward_pipeline.reason import FACTS, Reason

from fastforward.message.v1 import envelope_pb2

JSON = "application/json"
_MAX_ID = 64
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")
_TARGET = re.compile(r"/[!-~]{0,8191}")
_REQUEST = frozenset({"id", "method", "path", "headers", "body"})
_LISTEN = frozenset({"method", "path", "headers"})
_NOT_OURS = ("x-ff-", "x-envoy-", "x-forwarded-", "sec-")
_OF_PROXY = frozenset({"host", "forwarded", "connection", "upgrade", "te", "transfer-encoding", "content-length"})


class FrameError(Exception):
    """The text is no frame; `id` is that of the client, if it has told one."""

    def __init__(self, id_: str | None, detail: str) -> None:
        super().__init__(detail)
        self.id = id_
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Ask:
    """One message, one answer."""

    id: str
    operation: Operation


@dataclass(frozen=True, slots=True)
class Listen:
    """Events from now on."""

    id: str
    operation: Operation


@dataclass(frozen=True, slots=True)
class Stop:
    """No more events."""

    id: str


def read_frame(text: str, told: Container[str]) -> Ask | Listen | Stop:
    """Returns what a client asks; `told` are the headers of its handshake, which no frame may contradict.

    Raises FrameError.
    """
    try:
        frame = json.loads(text, object_pairs_hook=_unique, parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        raise FrameError(None, f"A frame is JSON: {error}"[:200]) from error
    if not isinstance(frame, dict):
        raise FrameError(None, "A frame is an object")
    id_ = frame.get("id")
    if not isinstance(id_, str) or not 0 < len(id_) <= _MAX_ID or not is_text(id_):
        raise FrameError(None, f"`id` is a text of 1 to {_MAX_ID} characters")
    try:
        return _read(id_, frame, told)
    except ValueError as error:
        raise FrameError(id_, str(error)) from error


def _read(id_: str, frame: dict[str, Any], told: Container[str]) -> Ask | Listen | Stop:
    if "stop" in frame:
        if frame["stop"] is not True:
            raise ValueError("`stop` is true")
        _only(frame, frozenset({"id", "stop"}))
        return Stop(id_)
    if "listen" in frame:
        _only(frame, frozenset({"id", "listen"}))
        listen = frame["listen"]
        if not isinstance(listen, dict):
            raise ValueError("`listen` is an object")
        _only(listen, _LISTEN)
        return Listen(id_, _operation({"method": "GET", **listen}, told))
    _only(frame, _REQUEST)
    return Ask(id_, _operation(frame, told))


def _operation(frame: dict[str, Any], told: Container[str]) -> Operation:
    method, path = frame.get("method"), frame.get("path")
    if not isinstance(method, str) or not _TOKEN.fullmatch(method):
        raise ValueError("`method` is a method of HTTP")
    if not isinstance(path, str) or not _TARGET.fullmatch(path):
        raise ValueError("`path` begins with a slash, and has no spaces")
    headers = _headers(frame.get("headers", {}), told)
    once = headers.pop("idempotency-key", "")
    # The body goes on as it was meant: normalization judges it, and has the one canonical form.
    body = json.dumps(frame["body"], ensure_ascii=False).encode("utf-8", "surrogatepass") if "body" in frame else b""
    return Operation(
        method=method,
        target=path,
        body=body,
        media_type=JSON if body else "",
        idempotency_key=once,
        fields=tuple(headers.items()),
    )


def _headers(given: object, told: Container[str]) -> dict[str, str]:
    if not isinstance(given, dict):
        raise ValueError("`headers` is an object")  # of the client's, not ours
    headers: dict[str, str] = {}
    for key, value in given.items():
        name = str(key).lower()
        if not _TOKEN.fullmatch(name) or not isinstance(value, str) or not value.isprintable():
            raise ValueError(f"The header {name[:64]!r} is none")
        if name.startswith(_NOT_OURS) or name in _OF_PROXY or name in told or name in headers:
            raise ValueError(f"The header {name!r} is not the frame's to say")
        headers[name] = value
    return headers


def write_answer(id_: str, answered: Answered) -> str:
    """Returns the frame of a reply."""
    reply = answered.reply
    completion, payload = reply.header.completion, reply.payload
    headers = {each.name: each.value for each in completion.fields}
    headers.update(answered.headers)
    if reply.header.transaction.repeated:
        headers["idempotency-replayed"] = "true"
    status = completion.status or (200 if payload.body else 204)
    return _joined({"id": id_, "status": status, "headers": headers}, payload)


def write_event(id_: str, event: envelope_pb2.Envelope) -> str:
    """Returns the frame of an event."""
    inner = _joined({"type": event.header.type, "id": event.header.id}, event.payload)
    return f'{{"id":{json.dumps(id_)},"event":{inner}}}'


def write_push(id_: str, type_: str, payload: envelope_pb2.Payload) -> str:
    """Returns the frame of what nobody has asked for; `payload` in JSON must be JSON."""
    return f'{{"push":{_joined({"type": type_, "id": id_}, payload)}}}'


def write_error(id_: str, failed: Failed) -> str:
    """Returns the frame of an error: the members of a problem document (RFC 9457)."""
    error = failed.error
    stage, _, short = error.reason.partition("/")
    members: dict[str, Any] = {
        "title": error.title,
        "stage": stage,
        "reason": short,
        "messageId": error.message_id,
    }
    if error.violations:
        members["errors"] = [
            {"pointer": each.pointer, "detail": each.description, "rule": each.rule} for each in error.violations
        ]
    if error.HasField("retry_after"):
        members["retryAfter"] = max(1, -(-error.retry_after.ToMilliseconds() // 1000))
    frame: dict[str, Any] = {"id": id_, "status": error_status(error), "error": members}
    if failed.headers:
        frame["headers"] = dict(failed.headers)
    return _dump(frame)


def write_refusal(id_: str | None, reason: Reason, detail: str = "") -> str:
    """Returns the frame of a refusal of the adapter's own: no message was made."""
    facts = FACTS[reason]
    error = {"title": detail or facts.title, "stage": reason.stage, "reason": reason.short}
    return _dump({"id": id_, "status": facts.status, "error": error})


def write_begun(id_: str) -> str:
    """Returns the frame that says that events come from now on."""
    return _dump({"id": id_, "status": 200})


def write_end(id_: str) -> str:
    """Returns the frame after the last event."""
    return _dump({"id": id_, "end": True})


def _joined(frame: dict[str, Any], payload: envelope_pb2.Payload) -> str:
    """JSON is put in as it is: normalization has parsed and written it. Other texts and bytes are texts here."""
    if not payload.body:
        return _dump(frame)
    kind = payload.media_type
    if is_json(kind):
        return f'{_dump(frame)[:-1]},"body":{payload.body.decode()}}}'
    if kind.lower().startswith("text/"):
        return _dump({**frame, "mediaType": kind, "body": payload.body.decode(errors="replace")})
    return _dump({**frame, "mediaType": kind, "base64": base64.b64encode(payload.body).decode()})


def _dump(frame: dict[str, Any]) -> str:
    return json.dumps(frame, ensure_ascii=False, separators=(",", ":"))


def _only(frame: dict[str, Any], known: frozenset[str]) -> None:
    for name in frame:
        if name not in known:
            raise ValueError(f"`{name[:64] if is_text(name) else ascii(name[:64])}` is no member of this frame")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a key is given twice")
    return made


def _constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON value")
