"""What every resource shares: metadata, references, CEL rules.

In: documents as decoded YAML/JSON mappings. Out: frozen pydantic models. Called by the kind modules beside this one.
Why it exists: one place fixes the wire form (camelCase, unknown fields refused) and the bounds that the generated
CRD schemas repeat, so that a verdict here is the API server's verdict too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic.alias_generators import to_camel

from .formats import KEY, Label, Name
from .lists import FIELD_MARK

GROUP = "gateway.fastforward.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
BUNDLE = "0.1.0"
"""Which definitions belong together: the version of the product, as an annotation of each."""

Port = Annotated[int, Field(ge=1, le=65535)]
ShortText = Annotated[str, StringConstraints(max_length=512)]
LongText = Annotated[str, StringConstraints(max_length=1 << 20)]
"""As long as Kubernetes lets one value be. Every text has a bound: only then is it also checked to be Unicode."""


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
    """Base of every part of a spec: camelCase on the wire, frozen, unknown fields refused, rules enforced.

    Strict, because the API server turns no text into numbers or truth values either.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        frozen=True,
        extra="forbid",
        strict=True,
        use_attribute_docstrings=True,
    )
    rules_cel: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _obey_rules(self) -> Self:
        for rule in self.rules_cel:
            if not rule.holds(self):
                raise ValueError(f"{rule.field}{FIELD_MARK}{rule.message}")
        return self


class Foreign(BaseModel):
    """Base of every part of a kind that is not ours: camelCase, frozen, what is not read may be anything."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        frozen=True,
        extra="ignore",
        strict=True,
    )


class ObjectMeta(BaseModel):
    """The part of Kubernetes ObjectMeta that means something here; the rest is ignored."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, validate_by_alias=True, frozen=True, strict=True
    )

    name: Name
    namespace: Label = "default"
    generation: Annotated[int, Field(ge=0, lt=1 << 63)] = 0
    creation_timestamp: Annotated[str, StringConstraints(max_length=40)] = ""
    labels: dict[ShortText, ShortText] = Field(default_factory=dict)
    annotations: dict[ShortText, LongText] = Field(default_factory=dict)


class ClusterMeta(ObjectMeta):
    """The same of a kind whose objects belong to no namespace."""

    namespace: Annotated[str, StringConstraints(max_length=0)] = ""


class Ref(Model):
    """A reference to an object by name; another namespace needs a ReferenceGrant there."""

    name: Name
    """Name of the object."""
    namespace: Label | None = None
    """Its namespace; the referring object's own when absent."""


class KeyRef(Ref):
    """A reference to one key of a Secret or ConfigMap."""

    key: Annotated[str, KEY]
    """Key in the object's data."""


class PolicyTarget(Model):
    """What a policy applies to (GEP-713 target reference)."""

    group: Literal["gateway.fastforward.dev", "gateway.networking.k8s.io"] | None = None
    """Group of the kind; it goes without saying."""
    kind: Literal["Edge", "Route", "Gateway", "HTTPRoute", "GRPCRoute"]
    """Kind of the target: an Edge or a Gateway (every route on it), a Route, an HTTPRoute or a GRPCRoute."""
    name: Name
    """Name of the target, in the policy's own namespace."""
    rule: Label | None = None
    """Name of one rule of the Route; every rule when absent."""
    section_name: Name | None = None
    """Name of one listener of the Gateway, or of one rule of the HTTPRoute or GRPCRoute; all of them when absent."""

    rules_cel = (
        Rule(
            "!has(self.group) || "
            "(self.group == 'gateway.networking.k8s.io') == (self.kind in ['Gateway', 'HTTPRoute', 'GRPCRoute'])",
            "This kind belongs to the other group.",
            "group",
            lambda s: s.group is None or (s.group == "gateway.networking.k8s.io") == s.is_foreign,
        ),
        Rule(
            "!has(self.rule) || self.kind == 'Route'",
            "Only a Route has a rule; kinds of Gateway API have a sectionName.",
            "rule",
            lambda s: s.rule is None or s.kind == "Route",
        ),
        Rule(
            "!has(self.sectionName) || self.kind in ['Gateway', 'HTTPRoute', 'GRPCRoute']",
            "Only kinds of Gateway API have a sectionName; a Route has a rule.",
            "sectionName",
            lambda s: s.section_name is None or s.is_foreign,
        ),
    )

    @property
    def is_foreign(self) -> bool:
        """Whether the target is of Gateway API."""
        return self.kind in ("Gateway", "HTTPRoute", "GRPCRoute")

    @property
    def section(self) -> str | None:
        """The rule or listener; None for the whole."""
        return self.section_name if self.is_foreign else self.rule


class Resource(BaseModel):
    """Base of every kind: type, metadata and, by kind, a spec. A status in the document is ignored on input."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        frozen=True,
        extra="ignore",
        strict=True,
    )

    api_version: ShortText
    kind: str
    metadata: ObjectMeta
