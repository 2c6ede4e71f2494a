"""The texts in a JSON value, however deep. Called by drift and redaction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def texts_of(value: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    """Yields each, but the names of members. No recursion, so no depth can exhaust the stack."""
    left = [value]
    while left:
        each = left.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, dict):
            left.extend(reversed(each.values()))
        elif isinstance(each, list):
            left.extend(reversed(each))
