"""The port through which events are kept until they are delivered.

Implemented by `in_process` and `postgresql`, which pass the same suite, tests/contract/test_outbox.py. What is kept is
delivered at least once, in any order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from fastforward_pipeline.effects import Unavailable

UNDER_WAY = 16
"""Deliveries to one hook at once, out of each outbox."""


@dataclass(frozen=True, slots=True)
class Letter:
    """An event as receivers get it."""

    event: str
    """Its id."""
    body: bytes
    known: bool
    """Whether the event may be told again, by a message that is repeated: then it is known for a day that it was
    delivered.
    """


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event on its way to one hook."""

    event: str
    hook: str
    """NAMESPACE/NAME."""
    body: bytes
    tries: int
    """That have failed."""


@dataclass(frozen=True, slots=True)
class Wish:
    """So many deliveries at most to one hook. Who takes one and has said nothing after `lease_s` is taken for dead."""

    hook: str
    most: int
    lease_s: float


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver has it."""


@dataclass(frozen=True, slots=True)
class Later:
    """It is to be tried again; `tries` have failed by now."""

    wait_s: float
    tries: int
    why: str


@dataclass(frozen=True, slots=True)
class Dead:
    """It is not tried any more; of such letters the `kept` newest ones of the hook stay."""

    tries: int
    why: str
    kept: int


Outcome = Delivered | Later | Dead


class Outbox(Protocol):
    """Keeps events. What it can't do in time, it says."""

    async def keep(self, letter: Letter, hooks: Sequence[str]) -> Sequence[str] | Unavailable:
        """Keeps an event for each of the hooks, unless it is known there; returns those for which there is no room."""
        ...

    async def claim(self, wishes: Iterable[Wish]) -> Sequence[Delivery] | Unavailable:
        """Returns what is due, of each hook the longest due; nobody else is given it before its lease is over."""
        ...

    async def settle(self, delivery: Delivery, outcome: Outcome) -> Unavailable | None:
        """Says how it went. What is not said in time comes again."""
        ...

    def forget(self, hook: str) -> int:
        """The hook is gone: returns how many events for it are dropped."""
        ...

    async def run(self) -> None:
        """What it does beside, until cancelled."""
        ...

    async def close(self) -> int:
        """Lets go of what it holds; returns how many events are lost by that."""
        ...
