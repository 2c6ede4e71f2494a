"""What is wrong with one field, in a sentence that says what is wanted there.

In: pydantic's errors. Out: FieldErrors with the path as people write it. Called by parse.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from types import NoneType
from typing import get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from .lists import FIELD_MARK

Location = tuple[int | str, ...]

_MAX_ERRORS = 10
_WANTED = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "int_type": "a whole number",
    "model_type": "a mapping",
    "string_type": "a text",
    "tuple_type": "a list",
}
_FOUND = {
    NoneType: "nothing",
    bool: "true or false",
    dict: "a mapping",
    float: "a fraction",
    int: "a number",
    list: "a list",
    str: "a text",
}
_MESSAGES = {
    "missing": "This field is required.",
    "string_unicode": "This text holds characters that are not Unicode.",
    "string_too_short": "At least {min_length} characters are needed.",
    "string_too_long": "At most {max_length} characters are allowed.",
    "too_short": "Items needed: at least {min_length}, here are {actual_length}.",
    "too_long": "Items allowed: at most {max_length}, here are {actual_length}.",
    "greater_than_equal": "The least allowed is {ge}.",
    "less_than_equal": "The most allowed is {le}.",
    "less_than": "This number is too large.",
}
_SHOWN = 63


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldError:
    """What is wrong with one field."""

    field: str
    """Path as people write it: `spec.rules[0].upstreams[1].weight`."""
    message: str
    """A sentence."""


def field_errors(error: ValidationError, model: type[BaseModel]) -> tuple[FieldError, ...]:
    """The first errors in the order of the document, and how many more there are."""
    found = error.errors(include_url=False)
    # A list whose items are wrong is also reported as too short: the items say it better.
    real = [item for item in found if item["type"] != "too_short" or not _has_deeper(found, item["loc"])]
    errors = tuple(_field_error(item, model) for item in real[:_MAX_ERRORS])
    if len(real) > _MAX_ERRORS:
        errors += (FieldError(field="", message=f"And {len(real) - _MAX_ERRORS} further errors."),)
    return errors


def _has_deeper(found: Sequence[ErrorDetails], location: Location) -> bool:
    return any(len(item["loc"]) > len(location) and item["loc"][: len(location)] == location for item in found)


def near_field(name: str, known: Sequence[str]) -> str:
    """A hint at the known name that this one resembles, or else at all of them."""
    near = difflib.get_close_matches(name[:_SHOWN], known, n=1)
    return f" Did you mean {near[0]}?" if near else f" Known here: {', '.join(known)}."


def plain(text: str, most: int) -> str:
    """The start of a text, on one line and without what can't be written as UTF-8."""
    clean = text[:most].encode("utf-8", "replace").decode()
    return "".join(character if character.isprintable() else "?" for character in clean)


def is_integral(value: object) -> bool:
    """Whether JSON, which knows no integers, would call it one: 5.0, but neither 5.5 nor true."""
    return isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53


def _field_error(error: ErrorDetails, model: type[BaseModel]) -> FieldError:
    field, message = _path(error["loc"]), error["msg"].removeprefix("Value error, ")
    if FIELD_MARK in message:
        below, message = message.split(FIELD_MARK, 1)
        return FieldError(field=_join(field, below), message=plain(message, 1024))
    if error["type"] == "extra_forbidden":
        here = _model_at(error["loc"][:-1], model)
        known = sorted(info.alias or name for name, info in here.model_fields.items()) if here else []
        return FieldError(field=field, message=f"This field is not known.{near_field(str(error['loc'][-1]), known)}")
    return FieldError(field=field, message=_sentence(error, message))


def _sentence(error: ErrorDetails, message: str) -> str:
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "format" and isinstance(value, str):
        return f"'{plain(value, _SHOWN)}' is not {message}."
    if kind == "literal_error" and isinstance(value, str):
        return f"'{plain(value, _SHOWN)}' is none of {context['expected']}."
    if kind == "literal_error" and type(value) is int and context["expected"][0].isdigit():
        return f"This number is none of {context['expected']}."
    wanted = _WANTED.get(kind) or context.get("name") or context.get("expected")
    if wanted is not None:
        return f"Wanted is {wanted}, not {_describe(value)}."
    if kind in _MESSAGES:
        return _MESSAGES[kind].format_map(context)
    return message if message.endswith(".") else f"{message}."


def _describe(value: object) -> str:
    """What stands there, by its type alone: it may be confidential."""
    return _FOUND.get(type(value), f"a {type(value).__name__}")


def _path(location: Location) -> str:
    text = ""
    for part in location:
        text = _join(text, f"[{part}]" if isinstance(part, int) else plain(part, 63))
    return text


def _join(field: str, below: str) -> str:
    return f"{field}.{below}" if field and below and not below.startswith("[") else f"{field}{below}"


def _model_at(location: Location, model: type[BaseModel]) -> type[BaseModel] | None:
    here: type[BaseModel] | None = model
    for part in location:
        if isinstance(part, str) and here is not None:
            here = _model_of_field(here, part)
    return here


def _model_of_field(model: type[BaseModel], alias: str) -> type[BaseModel] | None:
    return next((_model_in(info.annotation) for info in model.model_fields.values() if info.alias == alias), None)


def _model_in(annotation: object) -> type[BaseModel] | None:
    """The model inside an annotation such as `tuple[RouteRule, ...]` or `Retry | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for inner in get_args(annotation) if (model := _model_in(inner)) is not None), None)
