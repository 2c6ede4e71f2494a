"""From a decoded document to a resource, or to a value that says what is wrong with it.

In: what is decoded from YAML or JSON, in dicts and lists. Out: `Resource` or `Invalid`; never an exception for a user's
mistake. Called by the providers and by `ff validate`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from .fielderror import FieldError, field_errors, is_integral, near_field, plain
from .meta import API_VERSION, PolicyTarget, Resource
from .registry import CLUSTER_SCOPED, INPUTS

_MAX_TARGETS = 64
_TOP = frozenset({"apiVersion", "kind", "metadata", "spec", "status"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Invalid:
    """A document that is no resource, as far as it could be identified."""

    kind: str
    namespace: str
    name: str
    generation: int
    errors: tuple[FieldError, ...]
    targets: tuple[PolicyTarget, ...] = ()
    """What a policy aims at, as far as that can be read: an AuthPolicy that nobody understands closes these."""


def parse_resource(document: object) -> Resource | Invalid:
    """Read one document.

    Kinds that are not ours and not read as input yield an `Invalid` that says which kinds are known.
    """
    if not isinstance(document, dict):
        return _invalid({}, (FieldError(field="", message="The document is not a mapping."),))
    model = INPUTS.get((_text(document.get("apiVersion")), _text(document.get("kind"))))
    if model is None:
        return _invalid(document, (_unknown_kind(document),))
    if document["apiVersion"] == API_VERSION and not document.keys() <= _TOP:
        return _invalid(document, _unknown_at_top(document))
    try:
        return _validate(model, document)
    except ValidationError as error:
        return _invalid(document, field_errors(error, model))


def _validate(model: type[Resource], document: dict[Any, Any]) -> Resource:
    try:
        return model.model_validate(document, by_alias=True, by_name=False)
    except ValidationError as error:
        stored = _as_stored(document, error)
        if stored is None:
            raise
    return model.model_validate(stored, by_alias=True, by_name=False)


def _as_stored(document: dict[Any, Any], error: ValidationError) -> dict[Any, Any] | None:
    """The document as the API server would store it, or None when that changes nothing.

    It drops fields that are null, and takes 5.0 for the integer 5. Only documents that were refused come here, so that
    the others are not slowed down.
    """
    stored = dict(document)
    changed = False
    for item in error.errors(include_url=False, include_context=False):
        if item["input"] is None and isinstance(item["loc"][-1], str) and item["type"] != "extra_forbidden":
            changed |= _replace(stored, item["loc"], None)
        elif item["type"] == "int_type" and is_integral(item["input"]):
            changed |= _replace(stored, item["loc"], int(item["input"]))
    return stored if changed else None


def _replace(document: dict[Any, Any], location: tuple[int | str, ...], value: int | None) -> bool:
    """Put a value in place, or with None remove what is there, in copies of the containers on the way."""
    here: Any = document
    for part in location[:-1]:
        if isinstance(here, dict) and part not in here:
            return False
        here[part] = here[part].copy()
        here = here[part]
    if value is not None:
        here[location[-1]] = value
        return True
    return here.pop(location[-1], value) is None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _invalid(document: dict[Any, Any], errors: tuple[FieldError, ...]) -> Invalid:
    metadata = document.get("metadata")
    meta: dict[Any, Any] = metadata if isinstance(metadata, dict) else {}
    generation = meta.get("generation")
    kind = plain(_text(document.get("kind")), 63)
    return Invalid(
        kind=kind,
        namespace="" if kind in CLUSTER_SCOPED else plain(_text(meta.get("namespace")), 63) or "default",
        name=plain(_text(meta.get("name")), 253),
        generation=generation if isinstance(generation, int) and 0 <= generation < 1 << 63 else 0,
        errors=errors,
        targets=tuple(_targets(document.get("spec"))),
    )


def _targets(spec: object) -> Iterator[PolicyTarget]:
    """The targets as far as they can be read: of one that is wrong elsewhere, kind and name."""
    listed = spec.get("targets") if isinstance(spec, dict) else None
    for target in listed[:_MAX_TARGETS] if isinstance(listed, list) else ():
        core = {key: target.get(key) for key in ("kind", "name")} if isinstance(target, dict) else target
        for readable in (target, core):
            try:
                yield PolicyTarget.model_validate(readable, by_alias=True, by_name=False)
            except ValidationError:
                continue
            break


def _unknown_kind(document: dict[Any, Any]) -> FieldError:
    kind, version = plain(_text(document.get("kind")), 63), plain(_text(document.get("apiVersion")), 253)
    known = sorted({name for _, name in INPUTS})
    if kind in known:
        versions = ", ".join(sorted(v for v, name in INPUTS if name == kind))
        return FieldError(field="apiVersion", message=f"{kind} has apiVersion {versions}, not {version or 'none'}.")
    if not kind:
        return FieldError(field="kind", message=f"A kind is required; known are {', '.join(known)}.")
    if kind.removesuffix("List") in ("", *known):
        return FieldError(
            field="kind", message=f"A {kind} is not read: write each of its items as a document of its own."
        )
    near = difflib.get_close_matches(kind, known, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return FieldError(field="kind", message=f"Kind {kind} is not known; known are {', '.join(known)}.{hint}")


def _unknown_at_top(document: dict[Any, Any]) -> tuple[FieldError, ...]:
    unknown = sorted(plain(str(key), 63) for key in document.keys() - _TOP)
    return tuple(
        FieldError(field=key, message=f"This field is not known.{near_field(key, sorted(_TOP))}")
        for key in unknown[:10]
    )
