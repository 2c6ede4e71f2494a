"""Inputs of which there may be ten thousands, kept packed while nothing leans on them anew.

In: resources. Out: sources for world. A resource is made again when a rule reads it again, which is when something
changed that it goes by.
"""

from __future__ import annotations

from typing import Any, TypeVar, cast

import fastforward_crds as crds

from .cells import Source

R = TypeVar("R", bound=crds.Resource)


class PackedSource(Source[R | None]):
    """A source of one kind of resource; absent is None."""

    __slots__ = ()

    def __init__(self, name: str) -> None:
        super().__init__(name, None)

    def packed(self, value: R | None) -> crds.Packed | None:
        """As it is kept."""
        return None if value is None else crds.pack(value)

    def unpacked(self, kept: Any) -> R | None:  # noqa: ANN401 - what packed made
        """The resource again."""
        return None if kept is None else cast("R", kept.unpack())
