"""What a ConfigMap says of the pods of Gateways: fields of an Edge's `proxies`, each under its path.

In: the data of a ConfigMap. Out: `Proxies`, or what is wrong with it. Called by the compiler's translate/gatewayapi.
Annotations of the Service are not among them: a Gateway has its own way to say these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from fastforward_crds.edge import Proxies
from fastforward_crds.fielderror import FieldError, field_errors, near_field, plain

PARAMETERS = (
    "replicas",
    "resources.requests.cpu",
    "resources.requests.memory",
    "resources.limits.cpu",
    "resources.limits.memory",
    "service.type",
    "service.loadBalancerClass",
    "service.externalTrafficPolicy",
)
"""Keys, as paths below `proxies`."""
_NUMBERS = ("replicas",)
_MAX_DIGITS = 9
_SHOWN = 63


def parse_parameters(data: Mapping[str, str]) -> Proxies | tuple[FieldError, ...]:
    """Read the data; what is not said has an Edge's defaults."""
    unknown = tuple(_unknown(data))
    if unknown:
        return unknown
    nested: dict[str, Any] = {}
    for path, value in data.items():
        *parents, last = path.split(".")
        here = nested
        for parent in parents:
            here = here.setdefault(parent, {})
        here[last] = _read(path, value)
    try:
        return Proxies.model_validate(nested, by_alias=True, by_name=False)
    except ValidationError as error:
        return field_errors(error, Proxies)


def _unknown(data: Mapping[str, str]) -> Iterator[FieldError]:
    for key in sorted(data.keys() - set(PARAMETERS))[:10]:
        shown = plain(key, _SHOWN)
        yield FieldError(field=shown, message=f"This field is not known.{near_field(shown, PARAMETERS)}")


def _read(path: str, value: str) -> str | int:
    """All data of a ConfigMap is text."""
    is_number = path in _NUMBERS and value.isascii() and value.isdigit() and len(value) <= _MAX_DIGITS
    return int(value) if is_number else value
