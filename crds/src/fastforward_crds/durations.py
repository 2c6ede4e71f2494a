"""Lengths of time in resources.

In: texts such as `1m30s`. Out: the annotated types that the kinds use, and milliseconds. Called by the kind modules and
by the compiler. Why it exists: a duration is text on the wire, but has bounds like a number; 999 hours in milliseconds
fit the 32 bits of the decision snapshot.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from .formats import DURATION

BOUNDS_KEY = "x-bounds"
"""Where a schema made here keeps the least and the most."""

_PART = re.compile(r"([0-9]+)(h|ms|m|s)")
_UNIT_MS = {"h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}


def milliseconds(duration: str) -> int:
    """The length of a `Duration` in milliseconds: `milliseconds("1m30s") == 90_000`."""
    return sum(int(number) * _UNIT_MS[unit] for number, unit in _PART.findall(duration))


@dataclass(frozen=True, slots=True)
class Within:
    """Bounds of a duration, both included."""

    least: str
    most: str

    @property
    def expression(self) -> str:
        """The bounds as CEL over `self`."""
        return f"duration(self) >= duration('{self.least}') && duration(self) <= duration('{self.most}')"

    @property
    def message(self) -> str:
        return f"A duration here is at least {self.least} and at most {self.most}."

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        least, most, message = milliseconds(self.least), milliseconds(self.most), self.message

        def check(duration: str) -> str:
            if not least <= milliseconds(duration) <= most:
                raise ValueError(message)
            return duration

        return core_schema.no_info_after_validator_function(check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        rule = {"rule": self.expression, "message": self.message}
        return handler(schema) | {BOUNDS_KEY: [self.least, self.most], "x-kubernetes-validations": [rule]}


Duration = Annotated[str, DURATION, Within("0s", "999h")]
"""A length of time as in GEP-2257: `250ms`, `10s`, `1h30m`."""
Period = Annotated[str, DURATION, Within("1ms", "999h")]
"""A length of time that is not nothing."""
