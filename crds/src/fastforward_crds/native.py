"""Objects of other groups that are read as input: Secret, ConfigMap, Namespace (core/v1), ReferenceGrant (Gateway API).

In: their documents. Out: models with only the part that means something here. Called by parse and the compiler.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from .formats import Label, Name
from .lists import Items
from .meta import ClusterMeta, Foreign, LongText, Resource, ShortText

LongBinary = Annotated[str, StringConstraints(max_length=(1 << 20) * 4 // 3 + 4)]
"""Base64 of as much as Kubernetes lets one value be."""


def base64_values(data: dict[str, str]) -> dict[str, str]:
    """The data; raises ValueError on a value that is not base64."""
    for key, value in data.items():
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise ValueError(f"The value of key {key} is not base64.") from None
    return data


class Secret(Resource):
    """Confidential data: `data` in base64, `stringData` as text; the latter wins."""

    kind: Literal["Secret"] = "Secret"
    type: ShortText = "Opaque"
    data: dict[ShortText, LongText] = Field(default_factory=dict, repr=False)
    string_data: dict[ShortText, LongText] = Field(default_factory=dict, repr=False)

    @field_validator("data")
    @classmethod
    def _is_base64(cls, data: dict[str, str]) -> dict[str, str]:
        return base64_values(data)

    def value(self, key: str) -> bytes | None:
        """The bytes under `key`, or None."""
        if key in self.string_data:
            return self.string_data[key].encode()
        return base64.b64decode(self.data[key]) if key in self.data else None


class ConfigMap(Resource):
    """Plain data: `data` as text, `binaryData` in base64; no key is in both."""

    kind: Literal["ConfigMap"] = "ConfigMap"
    data: dict[ShortText, LongText] = Field(default_factory=dict)
    binary_data: dict[ShortText, LongBinary] = Field(default_factory=dict)

    @field_validator("binary_data")
    @classmethod
    def _is_base64(cls, data: dict[str, str]) -> dict[str, str]:
        return base64_values(data)

    def value(self, key: str) -> bytes | None:
        """The bytes under `key`, or None."""
        if key in self.data:
            return self.data[key].encode()
        return base64.b64decode(self.binary_data[key]) if key in self.binary_data else None


class Namespace(Resource):
    """A namespace; its labels say who it is to those who select by them."""

    kind: Literal["Namespace"] = "Namespace"
    metadata: ClusterMeta


class GrantFrom(Foreign):
    """Who may refer."""

    group: ShortText
    kind: ShortText
    namespace: Label


class GrantTo(Foreign):
    """What may be referred to."""

    group: ShortText
    kind: ShortText
    name: Name | None = None


class ReferenceGrantSpec(Foreign):
    """What a ReferenceGrant says."""

    from_: Annotated[tuple[GrantFrom, ...], Field(alias="from"), Items(least=1, most=16)]
    to: Annotated[tuple[GrantTo, ...], Items(least=1, most=16)]


class ReferenceGrant(Resource):
    """Leave to refer to objects of this namespace from others (GEP-709)."""

    kind: Literal["ReferenceGrant"] = "ReferenceGrant"
    spec: ReferenceGrantSpec
