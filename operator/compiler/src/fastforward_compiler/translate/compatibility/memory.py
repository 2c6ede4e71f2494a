"""What is remembered while two JSON Schemas are compared, and how much work that may be.

Called by compatibility/jsonschema and conjunction. A small document may lead to the same places again and again, so
whatever is done for a schema, a pair of schemas or a name and a pattern is counted.
"""

from __future__ import annotations

import json

import jsonschema_rs

_MOST_STEPS = 2_000_000
"""Of about a microsecond each."""
_CHARACTERS = 20
"""That are written in a step."""


class TooMuchError(Exception):
    """To compare these documents takes more steps than there may be."""


class Memory:
    """Shared by all that compares two documents."""

    def __init__(self) -> None:
        self.pairs: dict[tuple[bool, str, str], None] = {}
        """Those that are being compared, or were, in order: schemas may lead back to themselves."""
        self._left = _MOST_STEPS
        self._compiled: dict[str, jsonschema_rs.Draft202012Validator] = {}

    def spend(self, steps: int) -> None:
        """Raises TooMuchError when there are no more."""
        self._left -= steps
        if self._left < 0:
            raise TooMuchError

    def key(self, value: object) -> str:
        """Returns what is the same for all that say the same."""
        text = key_of(value)
        self.spend(1 + len(text) // _CHARACTERS)
        return text

    def takes(self, pattern: str, name: str) -> bool:
        """Whether a name fits, as data planes read the pattern."""
        self.spend(1)
        if pattern not in self._compiled:
            self._compiled[pattern] = jsonschema_rs.Draft202012Validator(
                {"pattern": pattern}, pattern_options=jsonschema_rs.RegexOptions()
            )
        return self._compiled[pattern].is_valid(name)


def key_of(value: object) -> str:
    """Returns the same text for equal JSON."""
    return json.dumps(value, sort_keys=True)
