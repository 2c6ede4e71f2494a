"""What the kinds of Gateway API share: references to parents, backends and Secrets, selectors of namespaces.

In: parts of documents. Out: models with the defaults of the definitions. Called by the kinds beside this one.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from fastforward_crds.formats import HOST, Label, Name
from fastforward_crds.lists import Items
from fastforward_crds.meta import Foreign, Port, ShortText

GROUP = "gateway.networking.k8s.io"
GATEWAY_API = f"{GROUP}/v1"
CONTROLLER = "gateway.fastforward.dev/controller"
"""Gateways of classes with this controller name are ours."""

Hostname = Annotated[str, HOST]
Section = Annotated[str, StringConstraints(max_length=253)]
Period = Annotated[str, StringConstraints(pattern="^([0-9]{1,5}(h|m|s|ms)){1,4}$", max_length=24)]
Weight = Annotated[int, Field(ge=0, le=1_000_000)]


class ParentRef(Foreign):
    """What a route attaches to."""

    group: ShortText = GROUP
    kind: ShortText = "Gateway"
    namespace: Label | None = None
    name: Name
    section_name: Section | None = None
    port: Port | None = None


class BackendObject(Foreign):
    """Where requests go: a Service and its port, or an object of another kind."""

    group: ShortText = ""
    kind: ShortText = "Service"
    name: Name
    namespace: Label | None = None
    port: Port | None = None


class Backend(BackendObject):
    """The same with its share of the requests."""

    weight: Weight = 1


class ObjectRef(Foreign):
    """An object of any kind, by default a Secret."""

    group: ShortText = ""
    kind: ShortText = "Secret"
    name: Name
    namespace: Label | None = None


class Expression(Foreign):
    """A condition on one label."""

    key: ShortText
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: Annotated[tuple[ShortText, ...], Items(most=256)] = ()


class Selector(Foreign):
    """Conditions on labels, all of which hold."""

    match_labels: dict[ShortText, ShortText] = Field(default_factory=dict)
    match_expressions: Annotated[tuple[Expression, ...], Items(most=64)] = ()

    def selects(self, labels: dict[str, str]) -> bool:
        """Whether an object with these labels is meant."""
        return all(labels.get(key) == value for key, value in self.match_labels.items()) and all(
            _holds(each, labels) for each in self.match_expressions
        )


def _holds(expression: Expression, labels: dict[str, str]) -> bool:
    found = labels.get(expression.key)
    match expression.operator:
        case "In":
            return found in expression.values
        case "NotIn":
            return found not in expression.values
        case "Exists":
            return found is not None
        case _:
            return found is None


class Namespaces(Foreign):
    """Namespaces whose objects may attach."""

    from_: Annotated[Literal["All", "Selector", "Same", "None"], Field(alias="from")] = "Same"
    selector: Selector = Selector()
