"""Resources as the text that they can be made from again.

In: resources. Out: a twentieth of their size: the models of one Route take 4 to 5 KiB, its text 0.2. Called by
whoever keeps ten thousand of them and seldom looks at one: making a model again takes some 30 microseconds.
"""

from __future__ import annotations

from typing import NamedTuple

from .meta import Resource

_PLACES = 64


class Packed(NamedTuple):
    """One resource; equal when the documents were."""

    model: type[Resource]
    text: bytes
    """JSON, without what the document left to defaults."""

    def __repr__(self) -> str:
        # A Secret is text as well.
        return f"Packed({self.model.__name__})"

    def unpack(self) -> Resource:
        """The resource, equal to the one that was packed."""
        place = hash(self) % _PLACES
        recent = _recent.get(place)
        if recent is not None and recent[0] == self:
            return recent[1]
        made = self.model.model_validate_json(self.text, by_alias=True, by_name=False)
        _recent[place] = self, made
        return made


def pack(resource: Resource) -> Packed:
    """Keep a resource small."""
    packed = Packed(type(resource), resource.model_dump_json(by_alias=True, exclude_unset=True).encode())
    _recent[hash(packed) % _PLACES] = packed, resource
    return packed


_recent: dict[int, tuple[Packed, Resource]] = {}
"""What is packed is looked at in the next moment, and by several: the last few are not made again. Each is where its
text says, so that threads need no lock."""
