"""Points in time that exist: no 30th of February.

In: texts of RFC 3339. Out: metadata of an annotated type. Called by schedule. Why it exists: a pattern can't count the
days of months; the API server does by `format: date-time`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

_MESSAGE = "There is no such day or time."


@dataclass(frozen=True, slots=True)
class Existing:
    """Refuses a text of the right form that names no point in time between the years 1 and 9999."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        def check(text: str) -> str:
            try:
                datetime.fromisoformat(text).astimezone(UTC)
            except (ValueError, OverflowError):
                raise ValueError(_MESSAGE) from None
            return text

        return core_schema.no_info_after_validator_function(check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(schema) | {"format": "date-time"}
