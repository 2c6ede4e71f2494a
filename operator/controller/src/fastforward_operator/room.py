"""Room that dictionaries and sets took while much was in them, and keep when it is gone.

In: collections. Called by status and xds, where everything is on its way at the start and little is later.
"""

from __future__ import annotations

from typing import Any


def give_room_back(*collections: dict[Any, Any] | set[Any]) -> None:
    """Of those that are empty: Python shrinks none when something is taken out, and frees all when it is cleared."""
    for each in collections:
        if not each:
            each.clear()
