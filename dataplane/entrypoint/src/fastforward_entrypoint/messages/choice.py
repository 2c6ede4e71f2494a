"""How an endpoint is chosen among those of an Upstream: the policies of Envoy, for what EntryPoint calls itself.

In: members with weights, and which of them may be asked. Out: one of them, or none. Called by lines, once a call. What
a policy means is what it means there; a key hashes to another endpoint than there.
Source: https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/load_balancers.
"""

from __future__ import annotations

import heapq
import random
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from itertools import count
from typing import Generic, Protocol, TypeVar

from fastforward.message.v1 import envelope_pb2

_PLACES = 128.0
"""On a ring, for a weight of 1: fewer where all together would have more than `_RING`."""
_RING = 1 << 13
_DRAWS = 8
"""Before all members are looked at."""


class Choosable(Protocol):
    """A member."""

    @property
    def address(self) -> str:
        """HOST:PORT."""
        ...

    @property
    def weight(self) -> int:
        """Share of the calls."""
        ...

    @property
    def active(self) -> int:
        """Calls on their way."""
        ...


Member = TypeVar("Member", bound=Choosable)
Chosen_co = TypeVar("Chosen_co", bound=Choosable, covariant=True)
Draw = Callable[[], float]
"""Draws from [0, 1)."""


class Choice(Protocol[Chosen_co]):
    """One policy over fixed members."""

    def pick(self, usable: Callable[[Chosen_co], bool], key: str) -> Chosen_co | None:
        """Returns a member that may be asked; None for nobody. `key` is what is hashed, empty for nothing."""
        ...


class Scheduled(Generic[Member]):
    """Each by its weight, the earliest deadline first; a busy one less often, if `busy` counts."""

    def __init__(self, members: Sequence[Member], draw: Draw, *, busy: bool = False) -> None:
        self._busy = busy
        self._order: Iterator[int] = count()
        # Begun anywhere: many processes with few messages must not all ask the first one.
        self._queue = [(draw() * self._step(each), next(self._order), each) for each in members]
        heapq.heapify(self._queue)

    def pick(self, usable: Callable[[Member], bool], key: str) -> Member | None:
        """See the port."""
        del key
        queue = self._queue
        for _ in range(len(queue)):
            at, _, member = queue[0]
            heapq.heapreplace(queue, (at + self._step(member), next(self._order), member))
            if usable(member):
                return member
        # Heavy ones that may not be asked hide a light one.
        return next((each for _, _, each in sorted(queue) if usable(each)), None)

    def _step(self, member: Member) -> float:
        return (member.active + 1 if self._busy else 1) / member.weight


class Drawn(Generic[Member]):
    """One by chance, whatever the weights; of two the less busy one, if `best_of` says so."""

    def __init__(self, members: Sequence[Member], draw: Draw, *, best_of: int = 1) -> None:
        self._members = members
        self._draw = draw
        self._best_of = best_of

    def pick(self, usable: Callable[[Member], bool], key: str) -> Member | None:
        """See the port."""
        del key
        found = [each for _ in range(self._best_of) if (each := self._one(usable)) is not None]
        return min(found, key=lambda each: each.active, default=None)

    def _one(self, usable: Callable[[Member], bool]) -> Member | None:
        members = self._members
        for _ in range(_DRAWS if members else 0):
            member = members[int(self._draw() * len(members))]
            if usable(member):
                return member
        left = [each for each in members if usable(each)]
        return left[int(self._draw() * len(left))] if left else None


class Hashed(Generic[Member]):
    """The same one for the same key, as long as it may be asked; when members come or go, few keys change theirs."""

    def __init__(self, members: Sequence[Member], draw: Draw) -> None:
        # Not a share of a whole: a member that comes or goes leaves the others' places as they are.
        whole, places = sum(each.weight for each in members), _PLACES
        while whole * places > _RING:
            places /= 2
        ring = [
            (_place(f"{each.address}_{number}"), place)
            for place, each in enumerate(members)
            for number in range(max(1, int(places * each.weight)))
        ]
        self._ring = sorted(ring)
        self._members = members
        self._by_chance = Drawn(members, draw)

    def pick(self, usable: Callable[[Member], bool], key: str) -> Member | None:
        """See the port. What has nothing to hash goes anywhere."""
        if not key:
            return self._by_chance.pick(usable, key)
        ring, refused = self._ring, set[int]()
        begin = bisect_left(ring, (_place(key), 0))
        for step in range(len(ring)):
            _, place = ring[(begin + step) % len(ring)]
            if place not in refused:
                if usable(self._members[place]):
                    return self._members[place]
                refused.add(place)
        return None


def _place(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def make_choice(policy: str, members: Sequence[Member], draw: Draw = random.random) -> Choice[Member]:
    """Returns the policy over these members."""
    match policy:
        case "least request":
            alike = len({each.weight for each in members}) <= 1
            return Drawn(members, draw, best_of=2) if alike else Scheduled(members, draw, busy=True)
        case "random":
            return Drawn(members, draw)
        case "ring hash":
            return Hashed(members, draw)
        case _:
            return Scheduled(members, draw)


def key_of(source: envelope_pb2.Source, hash_on: str) -> str:
    """Returns what is hashed of a message; empty for nothing."""
    kind, _, name = hash_on.partition(":")
    if kind == "address":
        return source.address
    return next((each.value for each in source.fields if each.name == name), "") if kind == "header" else ""
