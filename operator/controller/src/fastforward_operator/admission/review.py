"""AdmissionReview, read and written (admission.k8s.io/v1).

In: the body of a request, which anybody might have written. Out: `Asked`; an answer. Called by server. What can't be
read is a ReviewError: then the API server does what the webhook's failurePolicy says. Source: "Dynamic Admission
Control" in Kubernetes' documentation.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import fastforward_crds as crds
from fastforward_compiler.problem import Problem

MAX_BYTES = 6 * 1024 * 1024
"""Two objects as large as the API server stores them, and what is around them."""
MAX_WARNINGS = 10
MAX_TEXT = 200
"""Characters of a warning; longer ones may be cut by the API server."""
_VERSION = "admission.k8s.io/v1"
_MAX_UID = 253
_UNPROCESSABLE = 422


class ReviewError(Exception):
    """A body that is no review; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the API server is about to do."""

    uid: str
    operation: str
    kind: str
    """Empty for kinds that are not ours."""
    name: str
    namespace: str
    subresource: str
    new: Mapping[str, Any] | None
    old: Mapping[str, Any] | None

    @property
    def to_be_judged(self) -> bool:
        """Whether anything is said of an object that was not said before, by somebody who means to keep it."""
        if self.new is None or self.subresource or not self.kind or self.operation not in ("CREATE", "UPDATE"):
            return False
        if self.old is not None and self.new.get("spec") == self.old.get("spec"):
            # A label, a finalizer: what is wrong with the rest was taken before.
            return False
        return not _mapping(self.new.get("metadata")).get("deletionTimestamp")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What to say. Nothing refused is an object taken."""

    refused: tuple[Problem, ...] = ()
    warned: tuple[Problem, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether the object may come in."""
        return not self.refused


def read_review(body: bytes) -> Asked:
    """What is asked. Raises ReviewError."""
    try:
        review = json.loads(body.decode())
    except UnicodeDecodeError:
        raise ReviewError("The body is not UTF-8.") from None
    except (ValueError, RecursionError) as error:
        what = "nested too deeply" if isinstance(error, RecursionError) else "not JSON"
        raise ReviewError(f"The body is {what}.") from None
    if not isinstance(review, dict) or (review.get("apiVersion"), review.get("kind")) != (_VERSION, "AdmissionReview"):
        raise ReviewError(f"The body is no AdmissionReview of {_VERSION}.")
    request = review.get("request")
    if not isinstance(request, dict):
        raise ReviewError("The review has no request.")
    uid = request.get("uid")
    if not isinstance(uid, str) or not 0 < len(uid) <= _MAX_UID:
        raise ReviewError("The request has no uid.")
    return Asked(
        uid=uid,
        operation=_text(request.get("operation")),
        kind=_kind(_mapping(request.get("kind"))),
        name=_text(request.get("name")),
        namespace=_text(request.get("namespace")),
        subresource=_text(request.get("subResource")),
        new=_object(request, "object"),
        old=_object(request, "oldObject"),
    )


def write_review(asked: Asked, answer: Answer) -> bytes:
    """The body of the response."""
    response: dict[str, Any] = {"uid": asked.uid, "allowed": answer.allowed}
    warnings = [*answer.remarks, *map(sentence, answer.warned)]
    if len(warnings) > MAX_WARNINGS:
        warnings = [*warnings[: MAX_WARNINGS - 1], f"{len(warnings) - MAX_WARNINGS + 1} more: see the object's status."]
    if warnings:
        response["warnings"] = [_cut(text) for text in warnings]
    if not answer.allowed:
        response["status"] = _status(asked, answer.refused)
    # ASCII only: no text of an object can make this anything else than JSON.
    return json.dumps({"apiVersion": _VERSION, "kind": "AdmissionReview", "response": response}).encode("ascii")


def sentence(problem: Problem) -> str:
    """A Problem on one line."""
    field = f"{problem.field}: " if problem.field else ""
    return f"{field}{problem.message} ({problem.reason})"


def _status(asked: Asked, problems: Iterable[Problem]) -> dict[str, Any]:
    causes = [
        {"reason": str(each.reason), "message": f"{each.message} ({each.reason})", "field": each.field}
        for each in problems
    ]
    message = f'{asked.kind} "{asked.name}" is invalid: {" ".join(map(sentence, problems))}'
    return {
        "status": "Failure",
        "code": _UNPROCESSABLE,
        "reason": "Invalid",
        "message": message,
        "details": {"name": asked.name, "group": crds.GROUP, "kind": asked.kind, "causes": causes},
    }


def _kind(told: Mapping[str, Any]) -> str:
    name = _text(told.get("kind"))
    ours = (told.get("group"), told.get("version")) == (crds.GROUP, crds.VERSION)
    return name if ours and name in crds.PLURALS else ""


def _object(request: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    found = request.get(name)
    if found is not None and not isinstance(found, dict):
        raise ReviewError(f"The request's {name} is no object.")
    return found


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"
