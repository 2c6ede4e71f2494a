"""Whether a version of a Schema fits the one before, in the sense of Confluent's registry
(https://docs.confluent.io/platform/current/schema-registry/fundamentals/schema-evolution.html).

In: two documents of one format, sound. Out: what breaks, and where. Called by translate/schema. A comparison has two
sides: a writer that keeps one version, and a reader that holds to the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

MOST_TOLD = 5


def find_breaks(format_: str, mode: str, old: Any, new: Any) -> list[str]:  # noqa: ANN401 - of the format
    """Returns sentences; none when the new version owes nothing that it does not keep."""
    told: list[str] = []
    if mode in {"Backward", "Full"}:
        told += [f"Reading what the old one allowed: {each}" for each in _compare(format_, reader=new, writer=old)]
    if mode in {"Forward", "Full"}:
        told += [f"Reading by the old one: {each}" for each in _compare(format_, reader=old, writer=new)]
    return told


def tell(breaks: Sequence[str]) -> str:
    """Returns the first of them, and how many more there are."""
    more = f" And {len(breaks) - MOST_TOLD} more." if len(breaks) > MOST_TOLD else ""
    return " ".join(breaks[:MOST_TOLD]) + more


def _compare(format_: str, *, reader: Any, writer: Any) -> list[str]:  # noqa: ANN401 - of the format
    match format_:
        case "JSONSchema":
            from .jsonschema import compare_schemas  # noqa: PLC0415

            return compare_schemas(reader, writer)
        case "Protobuf":
            from .protobuf import compare_descriptors  # noqa: PLC0415

            return compare_descriptors(reader, writer)
        case _:
            from .graphql import compare_sdl  # noqa: PLC0415

            return compare_sdl(reader, writer)
