"""What every resource shares: metadata, references, bounded strings, durations, CEL rules.

In: documents as decoded YAML/JSON mappings. Out: frozen pydantic models. Called by the kind modules beside this one.
Why it exists: one place fixes the wire form (camelCase, unknown fields refused) and the bounds that the generated
CRD schemas repeat, so that a verdict here is the API server's verdict too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic.alias_generators import to_camel

GROUP = "gateway.fastforward.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

_LABEL = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
NAME_PATTERN = rf"^{_LABEL}(\.{_LABEL})*$"
HOST_PATTERN = rf"^(\*|(\*\.)?{_LABEL}(\.{_LABEL})*)$"
ADDRESS_PATTERN = r"^[0-9A-Za-z]([-0-9A-Za-z.:]{0,252})$"
CIDR_PATTERN = r"^[0-9A-Fa-f.:]{2,45}(/[0-9]{1,3})?$"
HEADER_PATTERN = r"^[A-Za-z0-9!#$%&'*+.^`|~-]{1,128}$"
VALUE_PATTERN = r"^[\x20-\x7E]*$"
DURATION_PATTERN = r"^([0-9]{1,5}(h|m|s|ms)){1,4}$"

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=253)]
"""A Kubernetes object name (RFC 1123 subdomain)."""
Label = Annotated[str, StringConstraints(pattern=rf"^{_LABEL}$", max_length=63)]
"""A short name inside a list (RFC 1123 label)."""
Host = Annotated[str, StringConstraints(pattern=HOST_PATTERN, max_length=253)]
"""A lower-case host, `*.suffix` for every host below a suffix, or `*` for every host. No port."""
Address = Annotated[str, StringConstraints(pattern=ADDRESS_PATTERN, max_length=253)]
"""An IP address or a DNS name."""
Cidr = Annotated[str, StringConstraints(pattern=CIDR_PATTERN, max_length=64)]
"""An IP network, `10.0.0.0/8` or `2001:db8::/32`; a bare address means itself alone."""
HeaderName = Annotated[str, StringConstraints(pattern=HEADER_PATTERN)]
"""An HTTP field name (RFC 9110, section 5.1) without underscores, which the edge refuses."""
HeaderText = Annotated[str, StringConstraints(pattern=VALUE_PATTERN, max_length=4096)]
"""An HTTP field value: printable ASCII, so no line breaks."""
Duration = Annotated[str, StringConstraints(pattern=DURATION_PATTERN, max_length=24)]
"""A length of time as in GEP-2257: `250ms`, `10s`, `1h30m`."""
Port = Annotated[int, Field(ge=1, le=65535)]
Condition = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
"""A CEL expression over `request` and `identity`; it must yield a boolean."""

FIELD_MARK = "\x1f"
"""Parts the field below the model from the message, in the error of a broken rule."""

_UNIT_MS = {"h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}


def milliseconds(duration: str) -> int:
    """The length of a `Duration` in milliseconds: `milliseconds("1m30s") == 90_000`."""
    return sum(int(number) * _UNIT_MS[unit] for number, unit in re.findall(r"([0-9]+)(h|ms|m|s)", duration))


def count_set(*values: object) -> int:
    """How many of the values are there, as CEL's `has` counts them."""
    return sum(value is not None for value in values)


class Rule(NamedTuple):
    """A rule over `self`: as CEL for the API server (x-kubernetes-validations), as Python here."""

    expression: str
    message: str
    field: str
    holds: Callable[[Any], bool]
    """The same over the model, many times faster than CEL; a property test keeps the two alike."""


class Model(BaseModel):
    """Base of every part of a spec: camelCase on the wire, frozen, unknown fields refused, rules enforced."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
    )
    rules_cel: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _obey_rules(self) -> Self:
        for rule in self.rules_cel:
            if not rule.holds(self):
                raise ValueError(f"{rule.field}{FIELD_MARK}{rule.message}")
        return self


class ObjectMeta(BaseModel):
    """The part of Kubernetes ObjectMeta that means something here; the rest is ignored."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, validate_by_alias=True, frozen=True)

    name: Name
    namespace: Label = "default"
    generation: int = 0
    creation_timestamp: Annotated[str, StringConstraints(max_length=40)] = ""
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class Ref(Model):
    """A reference to an object by name; another namespace needs a ReferenceGrant there."""

    name: Name
    """Name of the object."""
    namespace: Label | None = None
    """Its namespace; the referring object's own when absent."""


class KeyRef(Ref):
    """A reference to one key of a Secret or ConfigMap."""

    key: Annotated[str, StringConstraints(pattern=r"^[-._a-zA-Z0-9]{1,253}$")]
    """Key in the object's data."""


class PolicyTarget(Model):
    """What a policy applies to (GEP-713 target reference)."""

    kind: Literal["Edge", "Route"]
    """Kind of the target: an Edge (every route on it) or a Route."""
    name: Name
    """Name of the target, in the policy's own namespace."""
    rule: Label | None = None
    """Name of one rule of the Route; every rule when absent."""

    rules_cel = (
        Rule(
            "!has(self.rule) || self.kind == 'Route'",
            "Only a Route has rules to aim at.",
            "rule",
            lambda s: s.rule is None or s.kind == "Route",
        ),
    )


class Resource(BaseModel):
    """Base of every kind: type, metadata and, by kind, a spec. A status in the document is ignored on input."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, validate_by_alias=True, frozen=True, extra="ignore"
    )

    api_version: str
    kind: str
    metadata: ObjectMeta
