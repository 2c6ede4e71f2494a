"""From a decoded document to a resource, or to a value that says what is wrong with it.

In: one mapping as decoded from YAML or JSON. Out: `Resource` or `Invalid`; never an exception for a user's mistake.
Called by the providers and by `ff validate`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from .meta import Resource
from .registry import INPUTS

_MAX_ERRORS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldError:
    """What is wrong with one field."""

    field: str
    """Path as people write it: `spec.rules[0].upstreams[1].weight`."""
    message: str
    """A sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invalid:
    """A document that is no resource, as far as it could be identified."""

    kind: str
    namespace: str
    name: str
    generation: int
    errors: tuple[FieldError, ...]


def parse_resource(document: object) -> Resource | Invalid:
    """Read one document.

    Kinds that are not ours and not read as input yield an `Invalid` that says which kinds are known.
    """
    if not isinstance(document, Mapping):
        return Invalid(
            kind="",
            namespace="",
            name="",
            generation=0,
            errors=(FieldError(field="", message="The document is not a mapping."),),
        )
    model = INPUTS.get((_text(document.get("apiVersion")), _text(document.get("kind"))))
    if model is None:
        return _invalid(document, (_unknown_kind(document),))
    try:
        return model.model_validate(document)
    except ValidationError as error:
        return _invalid(document, _field_errors(error, model))
    except RecursionError:
        return _invalid(document, (FieldError(field="", message="The document is nested too deeply."),))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _invalid(document: Mapping[Any, Any], errors: tuple[FieldError, ...]) -> Invalid:
    metadata = document.get("metadata")
    meta: Mapping[Any, Any] = metadata if isinstance(metadata, Mapping) else {}
    generation = meta.get("generation")
    return Invalid(
        kind=_text(document.get("kind"))[:63],
        namespace=_text(meta.get("namespace"))[:63] or "default",
        name=_text(meta.get("name"))[:253],
        generation=generation if isinstance(generation, int) else 0,
        errors=errors,
    )


def _unknown_kind(document: Mapping[Any, Any]) -> FieldError:
    kind, version = _text(document.get("kind"))[:63], _text(document.get("apiVersion"))[:253]
    known = sorted({name for _, name in INPUTS})
    if kind in known:
        versions = ", ".join(sorted(v for v, name in INPUTS if name == kind))
        return FieldError(field="apiVersion", message=f"{kind} has apiVersion {versions}, not {version or 'none'}.")
    near = difflib.get_close_matches(kind, known, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return FieldError(field="kind", message=f"Kind {kind or 'none'} is not known; known are {', '.join(known)}.{hint}")


def _field_errors(error: ValidationError, model: type[Resource]) -> tuple[FieldError, ...]:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    errors = tuple(_field_error(item, model) for item in found[:_MAX_ERRORS])
    if len(found) > _MAX_ERRORS:
        errors += (FieldError(field="", message=f"And {len(found) - _MAX_ERRORS} further errors."),)
    return errors


def _field_error(item: Any, model: type[Resource]) -> FieldError:
    field = _path(item["loc"])
    message = item["msg"].removeprefix("Value error, ")
    if "\x1f" in message:
        below, message = message.split("\x1f", 1)
        return FieldError(field=f"{field}.{below}" if below else field, message=message)
    if item["type"] == "extra_forbidden":
        return FieldError(field=field, message=f"This field is not known.{_near_field(item['loc'], model)}")
    if item["type"] == "missing":
        return FieldError(field=field, message="This field is required.")
    return FieldError(field=field, message=message if message.endswith(".") else f"{message}.")


def _path(location: tuple[int | str, ...]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else part)
    return text[:512]


def _near_field(location: tuple[int | str, ...], model: type[Any]) -> str:
    """A hint at the known field that the unknown one resembles."""
    known: set[str] = set()
    for candidate in _models_of(model, set()):
        known |= {info.alias or name for name, info in candidate.model_fields.items()}
    near = difflib.get_close_matches(str(location[-1]), sorted(known), n=1)
    return f" Did you mean {near[0]}?" if near else ""


def _models_of(annotation: Any, seen: set[Any]) -> set[Any]:
    if hasattr(annotation, "model_fields"):
        if annotation not in seen:
            seen.add(annotation)
            for info in annotation.model_fields.values():
                _models_of(info.annotation, seen)
        return seen
    for inner in getattr(annotation, "__args__", ()):
        _models_of(inner, seen)
    return seen
