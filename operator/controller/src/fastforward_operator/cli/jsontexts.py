"""The texts in a JSON value, however deep. Called by drift and redaction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def texts_of(value: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    """Yields each, but the names of members."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from texts_of(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts_of(each)
