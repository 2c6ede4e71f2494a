"""Replies and errors as HTTP answers: negotiated, conditional, and problems by RFC 9457.

In: what came of a message, and the message. Out: a Response. Called by adapter.
"""

import json
from collections.abc import Iterable
from hashlib import blake2b
from http import HTTPStatus

from fastforward_kit.http import Response, StreamedResponse
from fastforward_pipeline.message import MESSAGE_ID, Answered, Failed, error_status, is_json

from fastforward.message.v1 import envelope_pb2

from .lines import LINES, elements_of, write_lines

PROBLEM = "application/problem+json"
_SAFE = frozenset({"GET", "HEAD"})


def make_answer(answered: Answered, asked: envelope_pb2.Envelope) -> Response:
    """Returns the answer of a reply: 406 when the client accepts nothing of its type, 304 when it has it already."""
    reply, source = answered.reply, asked.header.source
    payload, completion = reply.payload, reply.header.completion
    own = [(each.name, each.value) for each in completion.fields]
    if reply.header.transaction.repeated:
        own.append(("idempotency-replayed", "true"))
    headers = (*own, *answered.headers)
    if not payload.body:
        return Response(completion.status or HTTPStatus.NO_CONTENT, headers)
    status = completion.status or HTTPStatus.OK
    lines = next((kind for kind in LINES if prefers(source, kind, payload.media_type)), "")
    if lines and is_json(payload.media_type):
        parts = write_lines(elements_of(payload.body))
        return StreamedResponse(status, (("content-type", lines), *headers), parts=parts, finite=True)
    if not accepts(_field(source, "accept"), payload.media_type):
        title = f"The answer is {payload.media_type}, which the request does not accept"
        return Response(*_problem(HTTPStatus.NOT_ACCEPTABLE, {"title": title}, asked))
    if source.method in _SAFE and status == HTTPStatus.OK:
        tag = next((value for name, value in own if name == "etag"), "") or _tag(payload.body)
        headers = (*(pair for pair in headers if pair[0] != "etag"), ("etag", tag))
        if _holds(_field(source, "if-none-match"), tag):
            return Response(HTTPStatus.NOT_MODIFIED, headers)
    return Response(status, (("content-type", payload.media_type), *headers), payload.body)


def make_problem(failed: Failed, asked: envelope_pb2.Envelope) -> Response:
    """Returns the problem document of an error (RFC 9457)."""
    error = failed.error
    status = error_status(error)
    stage, _, short = error.reason.partition("/")
    members: dict[str, object] = {"title": error.title, "stage": stage, "reason": short}
    if error.violations:
        members["errors"] = [
            {"pointer": each.pointer, "detail": each.description, "rule": each.rule} for each in error.violations
        ]
    own = [*failed.headers, ("x-ff-reason", error.reason), (MESSAGE_ID, asked.header.id)]
    if error.HasField("retry_after") and not any(name == "retry-after" for name, _ in own):
        own.append(("retry-after", str(max(1, -(-error.retry_after.ToMilliseconds() // 1000)))))
    return Response(*_problem(status, members, asked, own))


def accepts(accept: str, media_type: str) -> bool:
    """Whether a client that sends this Accept (RFC 9110, section 12.5.1) takes this type; the most exact counts."""
    if not accept.strip():
        return True
    kind = _kind(media_type)
    return _quality(_qualities(accept), (kind, f"{kind.partition('/')[0]}/*", "*/*")) > 0


def prefers(source: envelope_pb2.Source, wanted: str, made: str) -> bool:
    """Whether a client names this type, and likes it better than the one that is made by itself."""
    accept = _field(source, "accept")
    if wanted not in accept:
        return False
    qualities, kind = _qualities(accept), _kind(made)
    return _quality(qualities, (wanted,)) > _quality(qualities, (kind,))


def _kind(media_type: str) -> str:
    return media_type.partition(";")[0].strip().lower()


def _qualities(accept: str) -> dict[str, float]:
    return dict(map(_range, accept.lower().split(",")))


def _quality(qualities: dict[str, float], ranges: Iterable[str]) -> float:
    return next((qualities[each] for each in ranges if each in qualities), 0.0)


def _range(text: str) -> tuple[str, float]:
    name, *parameters = (part.strip() for part in text.split(";"))
    quality = next((each[2:] for each in parameters if each.startswith("q=")), "1")
    try:
        return name, float(quality)
    except ValueError:
        return name, 0.0


def _holds(condition: str, tag: str) -> bool:
    """If-None-Match (RFC 9110, section 13.1.2), compared weakly."""
    listed = [each.strip().removeprefix("W/") for each in condition.split(",")]
    return condition.strip() == "*" or tag.removeprefix("W/") in listed


def _tag(body: bytes) -> str:
    return f'"{blake2b(body, digest_size=16).hexdigest()}"'


def _field(source: envelope_pb2.Source, name: str) -> str:
    return ",".join(each.value for each in source.fields if each.name == name)


def _problem(
    status: int,
    members: dict[str, object],
    asked: envelope_pb2.Envelope,
    own: Iterable[tuple[str, str]] = (),
) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
    header = asked.header
    document = {
        "type": "about:blank",
        **members,
        "status": int(status),
        "requestId": header.source.request_id,
        "messageId": header.id,
    }
    return status, (("content-type", PROBLEM), *own), json.dumps(document, separators=(",", ":")).encode()
