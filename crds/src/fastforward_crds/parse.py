"""From a decoded document to a resource, or to a value that says what is wrong with it.

In: one mapping as decoded from YAML or JSON. Out: `Resource` or `Invalid`; never an exception for a user's mistake.
Called by the providers and by `ff validate`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from .meta import FIELD_MARK, Resource
from .registry import INPUTS

Location = tuple[int | str, ...]

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
    # A list whose items are wrong is also reported as too short: the items say it better.
    real = [item for item in found if item["type"] != "too_short" or not _has_deeper(found, item["loc"])]
    errors = tuple(_field_error(item["loc"], item["type"], item["msg"], model) for item in real[:_MAX_ERRORS])
    if len(real) > _MAX_ERRORS:
        errors += (FieldError(field="", message=f"And {len(real) - _MAX_ERRORS} further errors."),)
    return errors


def _has_deeper(found: Sequence[ErrorDetails], location: Location) -> bool:
    return any(len(item["loc"]) > len(location) and item["loc"][: len(location)] == location for item in found)


def _field_error(location: Location, kind: str, text: str, model: type[Resource]) -> FieldError:
    field, message = _path(location), text.removeprefix("Value error, ")
    if FIELD_MARK in message:
        below, message = message.split(FIELD_MARK, 1)
        return FieldError(field=f"{field}.{below}" if below else field, message=message)
    if kind == "extra_forbidden":
        return FieldError(field=field, message=f"This field is not known.{_near_field(location, model)}")
    if kind == "missing":
        return FieldError(field=field, message="This field is required.")
    return FieldError(field=field, message=message if message.endswith(".") else f"{message}.")


def _path(location: Location) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else part)
    return text[:512]


def _near_field(location: Location, model: type[Resource]) -> str:
    """A hint at the known field, in the same place, that the unknown one resembles."""
    here: type[BaseModel] | None = model
    for part in location[:-1]:
        if isinstance(part, str) and here is not None:
            here = _model_of_field(here, part)
    if here is None:
        return ""
    known = sorted({info.alias or name for name, info in here.model_fields.items()})
    near = difflib.get_close_matches(str(location[-1]), known, n=1)
    return f" Did you mean {near[0]}?" if near else f" Known here: {', '.join(known)}."


def _model_of_field(model: type[BaseModel], alias: str) -> type[BaseModel] | None:
    for name, info in model.model_fields.items():
        if alias in (name, info.alias):
            return _model_in(info.annotation)
    return None


def _model_in(annotation: object) -> type[BaseModel] | None:
    """The model inside an annotation such as `tuple[RouteRule, ...]` or `Retry | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in get_args(annotation):
        if (model := _model_in(inner)) is not None:
            return model
    return None
