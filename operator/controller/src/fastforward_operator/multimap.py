"""From one to several, small: for ten thousand keys that mostly have one value each.

In: pairs. Out: the values of a key. Called by publication and status. A set takes 216 bytes for its first member, a
tuple 48; few keys have more than a handful.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V", bound=Hashable)

_FEW = 6


class Multimap(Generic[K, V]):
    """Keys without values are not there."""

    __slots__ = ("_values",)

    def __init__(self) -> None:
        self._values: dict[K, tuple[V, ...] | set[V]] = {}

    def __contains__(self, key: K) -> bool:
        return key in self._values

    def get(self, key: K) -> Collection[V]:
        """The values of a key; not to be changed, nor kept while pairs come and go."""
        return self._values.get(key, ())

    def add(self, key: K, value: V) -> None:
        """A pair; a second time it changes nothing."""
        held = self._values.get(key, ())
        if isinstance(held, set):
            held.add(value)
        elif value not in held:
            self._values[key] = (*held, value) if len(held) < _FEW else {*held, value}

    def add_to(self, keys: Collection[K], value: V) -> None:
        """The same value to each of some keys; those that have no other share what holds it."""
        alone = next((held for key in keys if (held := self._values.get(key)) == (value,)), (value,))
        for key in keys:
            if key not in self._values:
                self._values[key] = alone
            else:
                self.add(key, value)

    def discard(self, key: K, value: V) -> None:
        """The pair is not there any more."""
        held = self._values.get(key, ())
        if value not in held:
            return
        if len(held) == 1:
            del self._values[key]
        elif isinstance(held, set):
            held.discard(value)
        else:
            self._values[key] = tuple(each for each in held if each != value)

    def pop(self, key: K) -> None:
        """All pairs of a key are not there any more."""
        self._values.pop(key, None)
